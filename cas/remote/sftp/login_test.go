package sftp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/sftp"
)

// ask asks for something, and returns the error.
func ask(tb testing.TB, url string) error {
	tb.Helper()
	r := open(tb, url)
	defer r.Close()
	_, err := r.Stat(tb.Context(), "roots/none")
	return err
}

func wantError(tb testing.TB, err, kind error, words ...string) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Fatalf("the error is not %q: %v", kind, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if remote.Temporary(err) {
		tb.Errorf("it would be tried again: %v", err)
	}
}

func TestHostKey(t *testing.T) {
	s := remotetest.StartSSHD(t)
	other := remotetest.WriteKey(t, filepath.Join(t.TempDir(), "other"), "").PublicKey()
	at := knownhosts.Normalize(s.Address)
	line := func(key ssh.PublicKey) string { return knownhosts.Line([]string{at}, key) }
	_, port, _ := net.SplitHostPort(s.Address)
	print := ssh.FingerprintSHA256(s.HostKey)
	for _, c := range []struct {
		name, known string
		words       []string // nil is that it is known
	}{
		{"known", line(s.HostKey), nil},
		{"known by a hash of its name", knownhosts.Line([]string{knownhosts.HashHostname(at)}, s.HostKey), nil},
		{"unknown", "", []string{print, "none is known", "ssh -p " + port}},
		{"known at another port", knownhosts.Line([]string{"127.0.0.1"}, s.HostKey), []string{print, "none is known"}},
		{"changed", line(other), []string{print, "known_hosts line 1", "ssh-keygen -R '" + at + "'"}},
		{"of another kind", line(ecdsaKey(t)), []string{"no key of the known kinds", "ssh-ed25519", "ssh -p " + port}},
		{"revoked", "@revoked " + line(s.HostKey) + "\n" + line(s.HostKey), []string{print, "revoked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(s.KnownHosts(), []byte(c.known+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.Configure(t, "StrictHostKeyChecking no\n") // nothing turns the check off
			err := ask(t, s.URL)
			if c.words == nil {
				wantError(t, err, fs.ErrNotExist)
				return
			}
			wantError(t, err, remote.ErrHostKey, c.words...)
		})
	}
}

func ecdsaKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestHostCertificate(t *testing.T) {
	dir := t.TempDir()
	authority := remotetest.WriteKey(t, filepath.Join(dir, "ca"), "")
	host := remotetest.WriteKey(t, filepath.Join(dir, "host"), "")
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "host-cert.pub")
	if err := os.WriteFile(file, ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	s := remotetest.StartSSHD(t, "HostKey "+filepath.Join(dir, "host"), "HostCertificate "+file)
	for _, pattern := range []string{knownhosts.Normalize(s.Address), "127.0.0.*"} {
		line := "@cert-authority " + pattern + " " + string(ssh.MarshalAuthorizedKey(authority.PublicKey()))
		if err := os.WriteFile(s.KnownHosts(), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, ask(t, s.URL), fs.ErrNotExist)
	}
}

func TestKeys(t *testing.T) {
	s := remotetest.StartSSHD(t)
	id := func(name string) string { return filepath.Join(s.Home, ".ssh", name) }
	locked := remotetest.WriteKey(t, id("locked"), "secret")
	remotetest.WriteKey(t, id("stray"), "")
	good := remotetest.WriteKey(t, id("good"), "")
	identity := func(names ...string) string {
		text := ""
		for _, name := range names {
			text += "IdentityFile ~/.ssh/" + name + "\n"
		}
		return text
	}
	for _, c := range []struct {
		name, config string
		accepted     ssh.PublicKey
		words        []string // nil is that it works
	}{
		{"the named one", identity("good"), good.PublicKey(), nil},
		{"the second", identity("stray", "good"), good.PublicKey(), nil},
		{"in quotes, by host", "Host 127.0.0.*\n  IdentityFile \"%d/.ssh/good\"\n", good.PublicKey(), nil},
		{"the wrong one", identity("stray"), good.PublicKey(), []string{"none of 1 keys"}},
		{"one with a passphrase", identity("locked"), locked.PublicKey(), []string{"passphrase", "ssh-add '" + id("locked") + "'"}},
		{"one that is missing", identity("missing"), good.PublicKey(), []string{"none of 0 keys", "missing"}},
		{"not that of another host", "Host elsewhere\n" + identity("good"), good.PublicKey(), []string{"none of 1 keys"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Authorize(t, c.accepted)
			s.Configure(t, c.config)
			if err := ask(t, s.URL); c.words == nil {
				wantError(t, err, fs.ErrNotExist)
			} else {
				wantError(t, err, remote.ErrCredentials, c.words...)
			}
		})
	}
}

func TestAgent(t *testing.T) {
	s := remotetest.StartSSHD(t, "MaxAuthTries 3")
	held := remotetest.WriteKey(t, filepath.Join(s.Home, ".ssh", "held"), "secret")
	s.Authorize(t, held.PublicKey())
	socket := startAgent(t, filepath.Join(s.Home, ".ssh", "held"), 2)
	if err := os.Remove(filepath.Join(s.Home, ".ssh", "id_ed25519")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, variable, config string
		words                  []string // nil is that it works
	}{
		{"by the environment", socket, "", nil},
		{"by the configuration", "", "IdentityAgent " + socket + "\n", nil},
		{"the named key", socket, "IdentitiesOnly yes\nIdentityFile ~/.ssh/held\n", nil},
		{"only another key", socket, "IdentitiesOnly yes\nIdentityFile ~/.ssh/other\n", []string{"none of 0 keys"}},
		{"none", socket, "IdentityAgent none\n", []string{"none of 0 keys"}},
		{"gone", socket + "-gone", "", []string{"the agent can't be reached"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SSH_AUTH_SOCK", c.variable)
			s.Configure(t, c.config)
			if err := ask(t, s.URL); c.words == nil {
				wantError(t, err, fs.ErrNotExist)
			} else {
				wantError(t, err, remote.ErrCredentials, c.words...)
			}
		})
	}
}

// startAgent serves the key in a file, behind some others.
func startAgent(t *testing.T, file string, others int) (socket string) {
	t.Helper()
	keyring := agent.NewKeyring()
	for i := range others {
		other := filepath.Join(t.TempDir(), fmt.Sprintf("other-%d", i))
		remotetest.WriteKey(t, other, "")
		addKey(t, keyring, other, "")
	}
	addKey(t, keyring, file, "secret")
	dir, err := os.MkdirTemp("", "kept-agent-") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, conn); _ = conn.Close() }()
		}
	}()
	return socket
}

func addKey(t *testing.T, keyring agent.Agent, file, passphrase string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var key any
	if passphrase == "" {
		key, err = ssh.ParseRawPrivateKey(raw)
	} else {
		key, err = ssh.ParseRawPrivateKeyWithPassphrase(raw, []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
}

func TestConfiguration(t *testing.T) {
	s := remotetest.StartSSHD(t)
	_, port, _ := net.SplitHostPort(s.Address)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	direct := fmt.Sprintf("HostName 127.0.0.1\n Port %s\n User %s\n", port, me.Username)
	for _, c := range []struct {
		name, config string
		words        []string // nil is that it works
	}{
		{"another name", "Host models\n " + direct, nil},
		{"another name for its key", "Host models\n HostKeyAlias [127.0.0.1]:" + port + "\n HostName localhost\n" + direct, nil},
		{"a name for its key that is unknown", "Host models\n HostKeyAlias models\n " + direct, []string{"none is known"}},
		{"over another host", "Host models\n ProxyJump first\n " + direct + "Host first\n " + direct, nil},
		{"over two others", "Host models\n ProxyJump first,second\n " + direct + "Host first second\n " + direct, nil},
		{"one leads to the next", "Host models\n ProxyJump first\n " + direct + "Host first\n ProxyJump second\n " + direct + "Host second\n " + direct, nil},
		{"in a circle", "Host models\n ProxyJump models\n " + direct, []string{"too many hosts"}},
		{"over a program", "Host models\n ProxyCommand nc %h %p\n " + direct, []string{"ProxyCommand", "ProxyJump"}},
		{"over no program", "Host models\n ProxyCommand none\n " + direct, nil},
		{"a block that would run something", "Match exec \"touch " + filepath.Join(s.Home, "ran") + "\"\n User nobody\nHost models\n " + direct, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Configure(t, c.config)
			err := ask(t, "sftp://models"+filepath.ToSlash(s.Folder))
			if c.words == nil {
				wantError(t, err, fs.ErrNotExist)
				return
			}
			if errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("it is as if the file were missing: %v", err)
			}
			for _, word := range c.words {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(s.Home, "ran")); err == nil {
		t.Error("a program of the configuration was run")
	}
}

func TestWithoutMatch(t *testing.T) {
	const config = "User a\nMatch all\n Port 1\nmatch host x\n Port 2\nMatch exec \"x\"\n Port 3\n # c\nHost y\n Port 4\nMatch=user z\n Port 5\n"
	const want = "User a\nMatch all\n Port 1\nmatch host x\n Port 2\nHost y\n Port 4\n"
	if got := sftp.WithoutMatch([]byte(config)); !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOpen(t *testing.T) {
	for raw, ok := range map[string]bool{
		"sftp://host/srv/models": true, "ssh://me@host:22/~/models": true, "sftp://host/~": true, "sftp://host/~other/models": false,
	} {
		u, err := remote.ParseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sftp.Open(context.Background(), u, nil); (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
		if _, err := sftp.Open(context.Background(), u, remote.Settings{"identity": "/etc/passwd"}); err == nil {
			t.Errorf("%s: a setting was taken", raw)
		}
	}
}
