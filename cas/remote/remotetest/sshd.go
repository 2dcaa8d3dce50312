package remotetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kept-dev/kept/cas/remote"
)

// SSHD is OpenSSH's server on loopback, and a home folder for the user's side of it.
type SSHD struct {
	// URL is that of Folder, which is there and empty.
	URL    string
	Folder string
	// Address is where it listens.
	Address string
	// Home is what HOME is for the rest of the test: .ssh has a key, known_hosts and an empty config.
	Home string
	// HostKey is the public one.
	HostKey ssh.PublicKey

	dir string
	log *logBuffer
}

// StartSFTP starts OpenSSH's server for the time of a test.
func StartSFTP(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	return StartSSHD(tb).URL, nil
}

// StartSSHD starts OpenSSH's server with more lines of configuration. Each line comes
// before the server's own, so that it counts.
func StartSSHD(tb testing.TB, lines ...string) *SSHD {
	tb.Helper()
	program := findServer(tb, "sshd", "openssh-server")
	if runtime.GOOS != "windows" && os.Getuid() == 0 {
		// Where the system does not run the server, this is missing, and root's needs it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	s := &SSHD{dir: tb.TempDir(), log: new(logBuffer)}
	s.Home, s.Folder = filepath.Join(s.dir, "home"), filepath.Join(s.dir, "remote")
	for _, dir := range []string{filepath.Join(s.Home, ".ssh"), s.Folder} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Setenv("HOME", s.Home)
	tb.Setenv("USERPROFILE", s.Home)
	tb.Setenv("SSH_AUTH_SOCK", "")

	s.HostKey = WriteKey(tb, filepath.Join(s.dir, "host_key"), "").PublicKey()
	mine := WriteKey(tb, filepath.Join(s.Home, ".ssh", "id_ed25519"), "").PublicKey()
	s.Authorize(tb, mine)
	s.Address = serve(tb, s.log, func(address string) *exec.Cmd {
		config := filepath.Join(s.dir, "sshd_config")
		writeFile(tb, config, []byte(s.config(address, lines)))
		return exec.Command(program, "-D", "-e", "-f", config)
	})
	s.Trust(tb, s.Address)
	me, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	s.URL = fmt.Sprintf("sftp://%s@%s%s", me.Username, s.Address, filepath.ToSlash(s.Folder))
	return s
}

func (s *SSHD) config(address string, lines []string) string {
	host, port, _ := net.SplitHostPort(address)
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Subsystem ") }) {
		lines = append(lines, "Subsystem sftp internal-sftp") // of which there may be one only
	}
	return strings.Join(append(lines,
		"ListenAddress "+host, "Port "+port,
		"HostKey "+filepath.Join(s.dir, "host_key"),
		"AuthorizedKeysFile "+filepath.Join(s.dir, "authorized_keys"),
		"PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"MaxStartups 200", "LogLevel VERBOSE", ""), "\n")
}

// Authorize lets these keys log in and no others.
func (s *SSHD) Authorize(tb testing.TB, keys ...ssh.PublicKey) {
	tb.Helper()
	var text bytes.Buffer
	for _, k := range keys {
		text.Write(ssh.MarshalAuthorizedKey(k))
	}
	writeFile(tb, filepath.Join(s.dir, "authorized_keys"), text.Bytes())
}

// Trust makes the server's key a known one under an address, also that of something in between.
func (s *SSHD) Trust(tb testing.TB, address string) {
	tb.Helper()
	s.Know(tb, knownhosts.Line([]string{knownhosts.Normalize(address)}, s.HostKey))
}

// Know adds a line to known_hosts.
func (s *SSHD) Know(tb testing.TB, line string) {
	tb.Helper()
	f, err := os.OpenFile(s.KnownHosts(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = fmt.Fprintln(f, line)
	if err2 := f.Close(); err != nil || err2 != nil {
		tb.Fatal(err, err2)
	}
}

// KnownHosts is the user's file of known hosts.
func (s *SSHD) KnownHosts() string { return filepath.Join(s.Home, ".ssh", "known_hosts") }

// Configure replaces the user's ssh configuration.
func (s *SSHD) Configure(tb testing.TB, text string) {
	tb.Helper()
	writeFile(tb, filepath.Join(s.Home, ".ssh", "config"), []byte(text))
}

// Log is what the server wrote.
func (s *SSHD) Log() string { return s.log.String() }

// WriteKey makes a new key pair and writes it as ssh-keygen does.
func WriteKey(tb testing.TB, file, passphrase string) ssh.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	writeFile(tb, file, pem.EncodeToMemory(block))
	writeFile(tb, file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()))
	return signer
}

// findServer looks where Debian has servers, too, or skips the test.
func findServer(tb testing.TB, program, debian string) string {
	tb.Helper()
	for _, p := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if found, err := exec.LookPath(p); err == nil {
			if abs, err := filepath.Abs(found); err == nil {
				return abs // sshd wants to be called by it
			}
		}
	}
	tb.Skipf("no %s here: install %s", program, debian)
	return ""
}
