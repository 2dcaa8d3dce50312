package file_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/file"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func open(t testing.TB, path string) remote.Remote {
	t.Helper()
	u, err := remote.ParseURL(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.Open(t.Context(), u, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRemote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remote")
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, path) })
}

func put(t *testing.T, r remote.Remote, name, text string) error {
	t.Helper()
	return r.Put(t.Context(), name, strings.NewReader(text), int64(len(text)))
}

func read(t *testing.T, r remote.Remote, name string) (string, error) {
	t.Helper()
	body, err := r.Get(t.Context(), name, 0, -1)
	if err != nil {
		return "", err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}

func names(t *testing.T, r remote.Remote) (all []string) {
	t.Helper()
	err := r.List(t.Context(), "", func(i remote.Info) error { all = append(all, i.Name); return nil })
	if err != nil {
		t.Error(err)
	}
	return all
}

// TestNew: a folder that is not there yet is an empty remote, which nobody makes by looking.
func TestNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remote")
	r := open(t, path)
	if _, err := r.Stat(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, remote.ErrNoRemote) {
		t.Errorf("Stat: %v", err)
	}
	if _, err := read(t, r, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	if all := names(t, r); len(all) != 0 {
		t.Errorf("List: %q", all)
	}
	if err := r.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
	if err := put(t, r, "a/b", "text"); err != nil {
		t.Fatal(err)
	}
	if text, err := read(t, r, "a/b"); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(path); len(entries) != 1 || err != nil {
		t.Errorf("there is more than what was put: %v, %v", entries, err)
	}
}

// TestGone: where the folder around it is not there either, nothing is made in its place.
func TestGone(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "mount")
	r := open(t, filepath.Join(mount, "remote"))
	if err := os.MkdirAll(filepath.Join(mount, "remote"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := put(t, r, "a", "text"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(mount, mount+".gone"); err != nil {
		t.Fatal(err)
	}
	_, stat := r.Stat(t.Context(), "a")
	_, get := read(t, r, "a")
	for op, err := range map[string]error{
		"put": put(t, r, "a", "text"), "get": get, "stat": stat, "delete": r.Delete(t.Context(), "a"),
		"list": r.List(t.Context(), "", func(remote.Info) error { return nil }),
	} {
		if e := new(remote.Error); !errors.Is(err, remote.ErrNoRemote) || !errors.As(err, &e) || e.Op != op || e.Kind != remote.ErrNoRemote {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := os.Lstat(mount); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made there: %v", err)
	}
	if err := os.Rename(mount+".gone", mount); err != nil {
		t.Fatal(err)
	}
	if text, err := read(t, r, "a"); text != "text" || err != nil {
		t.Errorf("when it is back: %q, %v", text, err)
	}
}

func TestAFileInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remote")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r := open(t, path)
	if err := put(t, r, "a", "text"); !errors.Is(err, remote.ErrNoRemote) {
		t.Errorf("%v", err)
	}
	if _, err := r.Stat(t.Context(), "a"); !errors.Is(err, remote.ErrNoRemote) {
		t.Errorf("%v", err)
	}
}

func TestSettings(t *testing.T) {
	_, err := file.Open(t.Context(), &remote.URL{Scheme: "file", Path: "x"}, remote.Settings{"region": "x"})
	if err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("%v", err)
	}
}

// TestForeign: what does not belong there is not listed, and does not stand in the way.
func TestForeign(t *testing.T) {
	path := t.TempDir()
	r := open(t, path)
	if err := put(t, r, "packs/ab.pack", "text"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", "packs/.hidden", "packs/ab.pack~", "packs/A", ".git/config", "lost+found/x", "packs/ab cd"} {
		name = filepath.Join(path, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if all := names(t, r); len(all) != 1 || all[0] != "packs/ab.pack" {
		t.Errorf("listed %q", all)
	}
	if err := put(t, r, "packs/ab.pack/x", "text"); err == nil {
		t.Error("there is a file below a file")
	}
	if err := put(t, r, "packs", "text"); err == nil {
		t.Error("there is a file in place of a folder")
	}
	if text, err := read(t, r, "packs/ab.pack"); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestSweep: what a killed writer left goes, what another writes stays.
func TestSweep(t *testing.T) {
	path := t.TempDir()
	temp := filepath.Join(path, ".tmp")
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	old, recent := filepath.Join(temp, "tmp-old"), filepath.Join(temp, "tmp-recent")
	for _, name := range []string{old, recent} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	r := open(t, path)
	if err := put(t, r, "a", "text"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(recent); err != nil {
		t.Errorf("the recent one: %v", err)
	}
}

// TestDeleteWhilePutting: folders come and go.
func TestDeleteWhilePutting(t *testing.T) {
	path := t.TempDir()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := open(t, path)
			defer r.Close()
			name := fmt.Sprintf("check/folder/%d", g)
			for range 25 {
				if err := put(t, r, name, "text"); err != nil {
					t.Error(err)
				}
				if text, err := read(t, r, name); text != "text" || err != nil {
					t.Errorf("%q, %v", text, err)
				}
				if err := r.Delete(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
