package gcs_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Between kept and the service one bit of an upload changes: of its bytes, or of the name, which is
// beside them.
func TestAlteredUpload(t *testing.T) {
	for from, to := range map[string]string{"the content": "uhe content", "packs/a": "packs/c"} {
		t.Run(from, func(t *testing.T) {
			raw, settings := remotetest.StartGCS(t)
			service, err := url.Parse(os.Getenv("STORAGE_EMULATOR_HOST"))
			if err != nil {
				t.Fatal(err)
			}
			straight := open(t, raw, settings)
			remotetest.UseGCS(t, remotetest.Alter(t, service, from, to))
			remotetest.PutAltered(t, open(t, raw, settings), straight)
		})
	}
}
