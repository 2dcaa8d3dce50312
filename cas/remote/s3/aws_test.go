package s3_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/s3"
)

// aws stands for AWS: the bucket models is in eu-central-1.
type aws struct {
	server *httptest.Server

	mu       sync.Mutex
	requests []string
	last     http.Header
}

func newAWS(t *testing.T) *aws {
	t.Helper()
	a := new(aws)
	a.server = httptest.NewUnstartedServer(a)
	a.server.Config.ErrorLog = quiet
	a.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, "*.s3.us-east-1.amazonaws.com", "*.s3.eu-central-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com")}}
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	remotetest.SetS3Environment(t, "AKIDEXAMPLE", "secret-of-the-key")
	return a
}

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	signed := "anonymous"
	if strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/s3/") {
		signed = "eu-central-1"
	} else if r.Header.Get("Authorization") != "" {
		signed = "elsewhere"
	}
	a.requests = append(a.requests, fmt.Sprintf("%s %s%s %s", r.Method, r.Host, r.URL.Path, signed))
	a.last = r.Header
	bucket, host, _ := strings.Cut(r.Host, ".")
	w.Header().Set("x-amz-bucket-region", "eu-central-1")
	switch {
	case bucket != "models":
		w.Header().Del("x-amz-bucket-region")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(said("NoSuchBucket", "The specified bucket does not exist")))
	case host != "s3.eu-central-1.amazonaws.com":
		w.WriteHeader(http.StatusMovedPermanently)
		_, _ = w.Write([]byte(said("PermanentRedirect", "elsewhere")))
	case signed != "eu-central-1":
		w.WriteHeader(http.StatusForbidden)
	}
}

func (a *aws) open(t *testing.T, url string, s remote.Settings) remote.Remote {
	t.Helper()
	r := open(t, url, s)
	s3.DialAt(r, a.server.Listener.Addr().String())
	return r
}

func (a *aws) wantRequests(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if got := strings.Join(a.requests, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("requests\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func put(t *testing.T, r remote.Remote) error {
	t.Helper()
	return r.Put(t.Context(), "packs/one.pack", strings.NewReader("abc"), 3)
}

// TestFindRegion: without a region anywhere, nobody has to know it.
func TestFindRegion(t *testing.T) {
	a := newAWS(t)
	r := a.open(t, "s3://models/team", nil)
	for range 2 {
		if err := put(t, r); err != nil {
			t.Fatal(err)
		}
	}
	a.wantRequests(t,
		"HEAD models.s3.us-east-1.amazonaws.com/ anonymous",
		"PUT models.s3.eu-central-1.amazonaws.com/team/packs/one.pack eu-central-1",
		"PUT models.s3.eu-central-1.amazonaws.com/team/packs/one.pack eu-central-1")
	if got := a.last.Get("X-Amz-Checksum-Crc32c") + " " + a.last.Get("X-Amz-Content-Sha256"); got != "Nks/tw== UNSIGNED-PAYLOAD" {
		t.Errorf("checksums %s", got)
	}
}

// TestFollowRegion: a region that is only somebody's default is no obstacle.
func TestFollowRegion(t *testing.T) {
	a := newAWS(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	r := a.open(t, "s3://models", nil)
	for range 2 {
		if _, err := r.Stat(t.Context(), "packs/one.pack"); err != nil {
			t.Fatal(err)
		}
	}
	a.wantRequests(t,
		"HEAD models.s3.eu-west-1.amazonaws.com/packs/one.pack elsewhere",
		"GET models.s3.eu-west-1.amazonaws.com/packs/one.pack elsewhere",
		"HEAD models.s3.eu-central-1.amazonaws.com/packs/one.pack eu-central-1",
		"HEAD models.s3.eu-central-1.amazonaws.com/packs/one.pack eu-central-1")
}

// TestWrongRegion: one that was set is obeyed, and the error says which is right.
func TestWrongRegion(t *testing.T) {
	a := newAWS(t)
	r := a.open(t, "s3://models", remote.Settings{"region": "eu-west-1"})
	wantError(t, put(t, r), remote.ErrAddress, `"eu-central-1"`)
	a.wantRequests(t, "PUT models.s3.eu-west-1.amazonaws.com/packs/one.pack elsewhere")
}

func TestNoSuchBucket(t *testing.T) {
	a := newAWS(t)
	wantError(t, put(t, a.open(t, "s3://nobodys", nil)), remote.ErrNoRemote, "setting region")
}

// certificate makes one that is believed for the rest of the test.
func certificate(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", file)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
