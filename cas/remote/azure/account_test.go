package azure

import (
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func TestReadAccount(t *testing.T) {
	const connection = "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5;EndpointSuffix=core.windows.net"
	tests := []struct {
		name               string
		settings           remote.Settings
		env                map[string]string
		endpoint, key, sas string
		fails              bool
	}{
		{name: "nothing", fails: true},
		{name: "by the settings", settings: remote.Settings{"account": "contoso"}, endpoint: "https://contoso.blob.core.windows.net"},
		{name: "by the environment", env: map[string]string{"AZURE_STORAGE_ACCOUNT": "contoso", "AZURE_STORAGE_KEY": "a2V5"}, endpoint: "https://contoso.blob.core.windows.net", key: "a2V5"},
		{name: "a connection string", env: map[string]string{"AZURE_STORAGE_CONNECTION_STRING": connection}, endpoint: "https://contoso.blob.core.windows.net", key: "a2V5"},
		{name: "that of another account", settings: remote.Settings{"account": "other"}, env: map[string]string{"AZURE_STORAGE_CONNECTION_STRING": connection}, endpoint: "https://other.blob.core.windows.net"},
		{name: "the key of another account", settings: remote.Settings{"account": "other"}, env: map[string]string{"AZURE_STORAGE_ACCOUNT": "contoso", "AZURE_STORAGE_KEY": "a2V5"}, endpoint: "https://other.blob.core.windows.net"},
		{name: "with a signature", env: map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://contoso.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=2"}, endpoint: "https://contoso.blob.core.windows.net", sas: "sv=1&sig=2"},
		{name: "a broken connection string", env: map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "words"}, fails: true},
		{name: "anonymous", settings: remote.Settings{"account": "contoso", "anonymous": "true"}, env: map[string]string{"AZURE_STORAGE_KEY": "a2V5"}, endpoint: "https://contoso.blob.core.windows.net"},
		{name: "an account that is a host", settings: remote.Settings{"account": "example.com/"}, fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			remotetest.UseAzure(t, test.env)
			a, err := readAccount(test.settings)
			if test.fails || err != nil {
				if !test.fails || err == nil {
					t.Fatalf("error %v", err)
				}
				return
			}
			if a.endpoint.String() != test.endpoint || a.key != test.key || a.sas != test.sas {
				t.Errorf("got %s, key %q, sas %q", a.endpoint, a.key, a.sas)
			}
		})
	}
}

func TestParseToken(t *testing.T) {
	for text, good := range map[string]bool{
		`{"access_token":"t","expires_on":"1700000000"}`:                             true,
		`{"access_token":"t","expires_on":1700000000}`:                               true,
		`{"accessToken":"t","expires_on":1700000000,"expiresOn":"2023-11-14 22:13"}`: true,
		`{"access_token":"t"}`:      false,
		`{"expires_on":1700000000}`: false,
		`words`:                     false,
	} {
		token, err := parseToken([]byte(text))
		if good != (err == nil) || good && (token.Token != "t" || !token.ExpiresOn.Equal(time.Unix(1700000000, 0))) {
			t.Errorf("%s: %v, %v", text, token, err)
		}
	}
}
