package remotetest

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

// s3Bucket is there from the start, and no other.
const s3Bucket = "models"

// StartS3 starts an S3 server that others wrote, with a bucket, and returns what opens
// it. Its credentials are in the environment of the test.
func StartS3(tb testing.TB) (url string, s remote.Settings) {
	tb.Helper()
	address, url := StartS3At(tb)
	return url, S3Settings(address)
}

// S3Settings are those for an S3 server, or for what stands in front of it, at host:port.
func S3Settings(address string) remote.Settings {
	return remote.Settings{"endpoint": "http://" + address}
}

// StartS3At is StartS3, and returns the host:port of the server. flags are some of its own.
func StartS3At(tb testing.TB, flags ...string) (address, url string) {
	tb.Helper()
	program := Build(tb, "s3", s3Program)
	access, secret := "KEPT"+rand.Text()[:12], rand.Text()
	SetS3Environment(tb, access, secret)
	dir := tb.TempDir()
	for _, sub := range []string{"buckets", "buckets/" + s3Bucket, "metadata"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	address = serve(tb, new(logBuffer), func(address string) *exec.Cmd {
		args := append([]string{"--port", address, "--access", access, "--secret", secret, "--keep-alive", "--quiet"}, flags...)
		// Metadata beside the files, because not every temporary folder has extended attributes.
		return exec.Command(program, append(args, "posix", "--sidecar", filepath.Join(dir, "metadata"), filepath.Join(dir, "buckets"))...)
	})
	return address, "s3://" + s3Bucket
}

// SetS3Environment makes these the only credentials that can be found; empty ones are none.
func SetS3Environment(tb testing.TB, access, secret string) {
	tb.Helper()
	for _, entry := range os.Environ() {
		if key, _, _ := strings.Cut(entry, "="); strings.HasPrefix(key, "AWS_") && key != "AWS_CA_BUNDLE" {
			tb.Setenv(key, "")
		}
	}
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		tb.Setenv(key, value)
	}
}
