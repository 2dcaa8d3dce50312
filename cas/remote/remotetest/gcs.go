package remotetest

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
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
	port := unusedPort(tb)
	startEmulator(tb, regexp.MustCompile(`server started at (\S+)"`), program,
		"-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-public-host", "127.0.0.1:"+port)
	UseGCS(tb, "http://127.0.0.1:"+port)
	makeBucket(tb, "http://127.0.0.1:"+port, "team-models")
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

// unusedPort returns a port on this machine that nobody listens to.
func unusedPort(tb testing.TB) string {
	tb.Helper()
	_, port, err := net.SplitHostPort(freeAddress(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
