package azure_test

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

// The codes are those of the real service, in the header as for HEAD and in the body.
func TestAnswers(t *testing.T) {
	tests := []struct {
		op, code string
		status   int
		want     error
	}{
		{"get", "ContainerNotFound", 404, remote.ErrNoRemote},
		{"stat", "ContainerNotFound", 404, remote.ErrNoRemote},
		{"put", "ContainerNotFound", 404, remote.ErrNoRemote},
		{"get", "BlobNotFound", 404, fs.ErrNotExist},
		{"stat", "BlobNotFound", 404, fs.ErrNotExist},
		{"get", "ResourceNotFound", 404, remote.ErrNoRemote},
		{"put", "AuthenticationFailed", 403, remote.ErrCredentials},
		{"get", "NoAuthenticationInformation", 401, remote.ErrCredentials},
		{"get", "PublicAccessNotPermitted", 409, remote.ErrCredentials},
		{"get", "KeyBasedAuthenticationNotPermitted", 403, remote.ErrCredentials},
		{"put", "AuthorizationPermissionMismatch", 403, remote.ErrDenied},
		{"put", "AuthorizationFailure", 403, remote.ErrDenied},
		{"put", "BlobImmutableDueToPolicy", 409, remote.ErrDenied},
		{"put", "Md5Mismatch", 400, remote.ErrAltered},
		{"get", "InvalidRange", 416, remote.ErrShort},
		{"put", "ServerBusy", 503, remote.ErrTemporary},
		{"put", "OperationTimedOut", 500, remote.ErrTemporary},
		{"get", "", 429, remote.ErrTemporary},
		{"get", "", 302, remote.ErrAddress},
	}
	for _, test := range tests {
		t.Run(test.op+" "+test.code, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				w.Header().Set("Content-Type", "application/xml")
				w.Header().Set("x-ms-error-code", test.code)
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte("<?xml version=\"1.0\"?><Error><Code>" + test.code + "</Code><Message>What it says.\nRequestId:1</Message></Error>"))
			}))
			defer server.Close()
			const secret = "c2lnbmF0dXJl"
			remotetest.UseAzure(t, map[string]string{"AZURE_STORAGE_SAS_TOKEN": "sv=2024-01-01&sig=" + secret})
			r := open(t, "az://team", remote.Settings{"account": "contoso", "endpoint": server.URL + "/contoso"})
			err := remotetest.Do(t.Context(), r, test.op)
			e := new(remote.Error)
			if !errors.As(err, &e) || !errors.Is(e.Kind, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "RequestId") {
				t.Errorf("the error says too much: %v", err)
			}
			if requests != 1 || e.After != 7*time.Second {
				t.Errorf("%d requests, wait %v, want 1 and 7s", requests, e.After)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	remotetest.UseAzure(t, map[string]string{"AZURE_STORAGE_SAS_TOKEN": "sig=c2lnbmF0dXJl"})
	r := open(t, "az://team", remote.Settings{"account": "contoso", "endpoint": server.URL + "/contoso"})
	err := remotetest.Do(t.Context(), r, "stat")
	if !errors.Is(err, remote.ErrTemporary) || strings.Contains(err.Error(), "sig=") {
		t.Errorf("got %v, want %v", err, remote.ErrTemporary)
	}
}

// A repository can't make kept send somebody a token.
func TestForeignEndpoint(t *testing.T) {
	for _, variables := range []map[string]string{nil, {"AZURE_STORAGE_SAS_TOKEN": "sig=c2lnbmF0dXJl"}} {
		remotetest.UseAzure(t, variables)
		_, err := try(t, "az://team", remote.Settings{"account": "contoso", "endpoint": "https://storage.example.com"})
		if !errors.Is(err, remote.ErrCredentials) {
			t.Errorf("with %v: got %v, want %v", variables, err, remote.ErrCredentials)
		}
	}
}
