package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pkgsftp "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/sftp"
)

const name = "packs/0123.pack"

func put(ctx context.Context, r remote.Remote, b []byte) error {
	return r.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
}

func get(ctx context.Context, r remote.Remote) ([]byte, error) {
	body, err := r.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

func TestNoRemote(t *testing.T) {
	s := remotetest.StartSSHD(t)
	base := strings.TrimSuffix(s.URL, "/"+path.Base(s.URL))
	ctx := t.Context()

	missing := open(t, base+"/missing/remote")
	defer missing.Close()
	_, err := missing.Stat(ctx, name)
	wantError(t, err, remote.ErrNoRemote, "there is no folder", "missing")
	_, err = get(ctx, missing)
	wantError(t, err, remote.ErrNoRemote)
	wantError(t, missing.List(ctx, "packs/", nil), remote.ErrNoRemote)
	wantError(t, missing.Delete(ctx, name), remote.ErrNoRemote)
	wantError(t, put(ctx, missing, nil), remote.ErrNoRemote)

	fresh := open(t, base+"/fresh")
	defer fresh.Close()
	_, err = fresh.Stat(ctx, name)
	if wantError(t, err, fs.ErrNotExist); errors.Is(err, remote.ErrNoRemote) {
		t.Errorf("a folder that the first put makes is no remote: %v", err)
	}
	if err := put(ctx, fresh, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.Folder), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := open(t, base+"/file")
	defer file.Close()
	wantError(t, put(ctx, file, nil), remote.ErrNoRemote, "no folder")

	nobody := open(t, "sftp://host.invalid/srv")
	defer nobody.Close()
	if _, err := nobody.Stat(ctx, name); !errors.Is(err, remote.ErrNoRemote) && !errors.Is(err, remote.ErrTemporary) {
		t.Errorf("a host that does not exist: %v", err)
	}
}

func TestHome(t *testing.T) {
	home := t.TempDir()
	s := remotetest.StartSSHD(t, "Subsystem sftp internal-sftp -d "+home)
	host := strings.TrimSuffix(s.URL, filepath.ToSlash(s.Folder))
	for _, where := range []string{"/~", "/~/models"} {
		r := open(t, host+where)
		if err := put(t.Context(), r, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(home, strings.TrimPrefix(where, "/~"), name)); err != nil {
			t.Error(err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	s := remotetest.StartSSHD(t, "Subsystem sftp internal-sftp -R")
	r := open(t, s.URL)
	defer r.Close()
	wantError(t, put(t.Context(), r, []byte("x")), remote.ErrDenied, "packs")
}

func TestFull(t *testing.T) {
	s := remotetest.StartSSHD(t)
	mountSmall(t, s.Folder)
	r := open(t, s.URL)
	defer r.Close()
	wantError(t, put(t.Context(), r, make([]byte, 8<<20)), remote.ErrFull, name)
	if err := put(t.Context(), r, make([]byte, 1<<20)); err != nil {
		t.Fatal(err) // what did not fit is gone
	}
}

// A server of an older kind has none of the extensions.
func TestNoExtensions(t *testing.T) {
	s := remotetest.StartSSHD(t, "Subsystem sftp internal-sftp -P posix-rename,fsync,statvfs")
	r := open(t, s.URL)
	defer r.Close()
	for _, content := range []string{"one", "another", "another", ""} {
		if err := put(t.Context(), r, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := get(t.Context(), r); err != nil || string(got) != content {
			t.Fatalf("got %q, want %q: %v", got, content, err)
		}
	}
	wantNothingElse(t, s)
}

// wantNothingElse wants no temporary in the folder.
func wantNothingElse(t *testing.T, s *remotetest.SSHD) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Folder, "packs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != path.Base(name) {
			t.Errorf("%s was left", e.Name())
		}
	}
}

func TestOneSession(t *testing.T) {
	s := remotetest.StartSSHD(t, "MaxSessions 1")
	r := open(t, s.URL)
	defer r.Close()
	if err := put(t.Context(), r, make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 8 {
		go func() { _, err := get(t.Context(), r); errs <- err }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A cancelled put leaves nothing behind, and the body alone.
func TestCancel(t *testing.T) {
	s := remotetest.StartSSHD(t)
	r := open(t, s.URL)
	if err := put(t.Context(), r, []byte("old")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	body := &counting{after: 10, then: cancel}
	if err := r.Put(ctx, name, body, 64<<20); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	body.over.Store(true)
	if err := r.Close(); err != nil { // waits for what is cleaned up
		t.Fatal(err)
	}
	if body.late.Load() {
		t.Error("the body was read after Put had returned")
	}
	wantNothingElse(t, s)
}

func TestBroken(t *testing.T) {
	s := remotetest.StartSSHD(t)
	p := remotetest.NewTCPProxy(t, s.Address, 1)
	s.Trust(t, p.Addr())
	r := open(t, strings.Replace(s.URL, s.Address, p.Addr(), 1))
	defer r.Close()
	sftp.SetQuiet(r, time.Second)
	old, b := bytes.Repeat([]byte("o"), 5<<20), bytes.Repeat([]byte("n"), 6<<20)
	if err := put(t.Context(), r, old); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []remotetest.Kind{remotetest.CutRequest, remotetest.CutResponse, remotetest.FlipRequest, remotetest.FlipResponse, remotetest.StallRequest, remotetest.StallResponse} {
		t.Run(string(kind), func(t *testing.T) {
			at := int64(100_000)
			if kind == remotetest.CutResponse || kind == remotetest.StallResponse || kind == remotetest.FlipResponse {
				at = 1000 // not much comes back
			}
			p.Set(remotetest.Trouble{Kind: kind, At: at})
			if err := put(t.Context(), r, b); !errors.Is(err, remote.ErrTemporary) {
				t.Errorf("put: %v", err)
			}
			p.Set()
			steady := remote.Steady(r, remote.Limits{}) // a machine that is busy is quiet for a while, too
			if got, err := get(t.Context(), steady); err != nil || !bytes.Equal(got, old) {
				t.Fatalf("afterwards: %d bytes, %v", len(got), err)
			}
			p.Set(remotetest.Trouble{Kind: kind, At: 1000})
			if strings.HasSuffix(string(kind), "response") {
				if _, err := get(t.Context(), r); !errors.Is(err, remote.ErrTemporary) {
					t.Errorf("get: %v", err)
				}
			}
			p.Set()
			if err := put(t.Context(), steady, old); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	s := remotetest.StartSSHD(t)
	p := remotetest.NewTCPProxy(t, s.Address, 1)
	s.Trust(t, p.Addr())
	r := open(t, strings.Replace(s.URL, s.Address, p.Addr(), 1))
	defer r.Close()
	for _, kind := range []remotetest.Kind{remotetest.Refuse, remotetest.CutRequest, remotetest.CutResponse, remotetest.FlipResponse} {
		for _, at := range []int64{0, 10, 500} {
			p.Set(remotetest.Trouble{Kind: kind, At: at})
			if err := put(t.Context(), r, nil); err != nil && !errors.Is(err, remote.ErrTemporary) {
				t.Errorf("%s at %d: %v", kind, at, err)
			}
		}
	}
	p.Set()
	if err := put(t.Context(), r, nil); err != nil {
		t.Error(err)
	}
}

func TestKindOf(t *testing.T) {
	status := func(code uint32) error { return &pkgsftp.StatusError{Code: code} }
	for _, c := range []struct {
		err, want error
	}{
		{fs.ErrNotExist, fs.ErrNotExist},
		{fs.ErrPermission, remote.ErrDenied},
		{status(2), fs.ErrNotExist},
		{status(3), remote.ErrDenied},
		{status(4), nil},
		{status(5), nil},
		{status(7), remote.ErrTemporary},
		{status(8), remote.ErrUnsupported},
		{status(12), remote.ErrReadOnly},
		{status(14), remote.ErrFull},
		{status(15), remote.ErrFull},
		{io.EOF, remote.ErrTemporary},
		{pkgsftp.ErrSSHFxConnectionLost, remote.ErrTemporary},
		{net.ErrClosed, remote.ErrTemporary},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, remote.ErrTemporary},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, remote.ErrNoRemote},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, remote.ErrTemporary},
		{&ssh.OpenChannelError{Reason: ssh.ResourceShortage}, remote.ErrTemporary},
		{errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]"), remote.ErrCredentials},
		{&remote.BodyError{Err: fs.ErrNotExist}, nil},
		{context.DeadlineExceeded, nil},
	} {
		if got := sftp.KindOf(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
}
