package gcs_test

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// The answers are those of Google; the emulator says only "Not Found" to all that is not there.
func TestAnswers(t *testing.T) {
	google := func(message, reason string) string {
		return `{"error":{"message":"` + message + `","errors":[{"message":"` + message + `","domain":"global","reason":"` + reason + `"}]}}`
	}
	tests := []struct {
		name, op, body string
		status         int
		want           error
		text           string
	}{
		{"no bucket", "stat", google("The specified bucket does not exist.", "notFound"), 404, remote.ErrNoRemote, ""},
		{"no bucket for bytes", "get", "The specified bucket does not exist.", 404, remote.ErrNoRemote, ""},
		{"no bucket for a put", "put", "", 404, remote.ErrNoRemote, ""},
		{"no object", "stat", google("No such object: team/packs/a", "notFound"), 404, fs.ErrNotExist, ""},
		{"no object for bytes", "get", "No such object: team/packs/a", 404, fs.ErrNotExist, ""},
		{"expired", "get", google("Invalid Credentials", "authError"), 401, remote.ErrCredentials, "gcloud auth"},
		{"not allowed", "put", google("ada@example.com does not have storage.objects.create access.", "forbidden"), 403, remote.ErrDenied, "storage.objects.create"},
		{"too fast", "put", google("Rate limit", "rateLimitExceeded"), 429, remote.ErrTemporary, ""},
		{"too fast, by 403", "put", google("Rate limit", "userRateLimitExceeded"), 403, remote.ErrTemporary, ""},
		{"quota", "put", google("Quota exceeded", "quotaExceeded"), 403, remote.ErrFull, ""},
		{"altered", "put", google("Provided CRC32C \\\"AAAAAA==\\\" doesn't match calculated CRC32C \\\"BBBBBB==\\\".", "invalid"), 400, remote.ErrAltered, ""},
		{"busy", "stat", "<html>a proxy's page</html>", 503, remote.ErrTemporary, "503 Service Unavailable"},
		{"a redirect", "get", "", 307, remote.ErrAddress, ""},
		{"behind the end", "get", "", 416, remote.ErrShort, ""},
		{"a whole file for a range", "get", "all of it", 200, remote.ErrShort, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("it follows a redirect")
				}
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			remotetest.UseGCS(t, server.URL)
			err := remotetest.Do(t.Context(), open(t, "gs://team", nil), test.op)
			e := new(remote.Error)
			if !errors.As(err, &e) || !errors.Is(e.Kind, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
			if test.status == 503 && e.After != 7*time.Second {
				t.Errorf("wait %v, want 7s", e.After)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	remotetest.UseGCS(t, server.URL)
	if err := remotetest.Do(t.Context(), open(t, "gs://team", nil), "stat"); !errors.Is(err, remote.ErrTemporary) {
		t.Errorf("got %v, want %v", err, remote.ErrTemporary)
	}
}
