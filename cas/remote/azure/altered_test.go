package azure_test

import (
	"net/url"
	"testing"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Between kept and the service one bit of an upload changes.
func TestAlteredUpload(t *testing.T) {
	raw, settings := remotetest.StartAzurite(t)
	service, err := url.Parse(settings["endpoint"])
	if err != nil {
		t.Fatal(err)
	}
	straight := open(t, raw, settings)
	server := remotetest.Alter(t, &url.URL{Scheme: service.Scheme, Host: service.Host}, "the content", "uhe content")
	settings["endpoint"] = server + service.Path
	remotetest.PutAltered(t, open(t, raw, settings), straight)
}
