package gcs_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Between kept and the service one bit of an upload changes.
func TestAlteredUpload(t *testing.T) {
	raw, settings := remotetest.StartGCS(t)
	service, err := url.Parse(os.Getenv("STORAGE_EMULATOR_HOST"))
	if err != nil {
		t.Fatal(err)
	}
	straight := open(t, raw, settings)
	server := remotetest.Alter(t, service)
	remotetest.UseGCS(t, server)
	remotetest.PutAltered(t, open(t, raw, settings), straight)
}
