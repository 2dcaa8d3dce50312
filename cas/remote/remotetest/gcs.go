package remotetest

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

// StartGCS starts an emulator of Google Cloud Storage on this machine, in memory, and
// returns the URL of a bucket in it, as the environment of the test says from then on. Credentials
// that the user has are not looked at.
func StartGCS(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	program := Build(tb, "gcs", gcsProgram)
	address := serve(tb, new(logBuffer), func(address string) *exec.Cmd {
		host, port, _ := net.SplitHostPort(address)
		return exec.Command(program, "-backend", "memory", "-scheme", "http", "-host", host, "-port", port, "-public-host", address)
	})
	UseGCS(tb, "http://"+address)
	makeBucket(tb, "http://"+address, "team-models")
	return "gs://team-models/sentiment", remote.Settings{}
}

// UseGCS makes the test see the emulator at this URL, or with an empty one Google itself,
// and no credentials.
func UseGCS(tb testing.TB, emulator string) {
	tb.Helper()
	without(tb, "STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT")
	home := tb.TempDir()
	tb.Setenv("HOME", home)
	tb.Setenv("APPDATA", filepath.Join(home, "AppData"))
	if emulator != "" {
		tb.Setenv("STORAGE_EMULATOR_HOST", emulator)
	}
}

func makeBucket(tb testing.TB, service, name string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, service+"/storage/v1/b?project=test", strings.NewReader(fmt.Sprintf(`{"name":%q}`, name)))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("make bucket %s: %s", name, resp.Status)
	}
}
