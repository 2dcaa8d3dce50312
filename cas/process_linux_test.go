package cas_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// Some tests need a process of their own, to kill it or to take its disk
// away: this binary once more, with a variable that says what to be.
const roleVariable = "KEPT_CAS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role, dir, _ := strings.Cut(os.Getenv(roleVariable), ":"); role {
	case "":
		os.Exit(m.Run())
	case "writer":
		writeForEver(dir)
	case "file limit":
		exit(withFileLimit(dir))
	case "small disk":
		exit(onSmallDisk(dir))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role+":"+dir)
	return cmd
}

// writeForEver puts one object after the other and prints the digest of each
// that the store says it has.
func writeForEver(dir string) {
	s, err := cas.OpenLocal(dir)
	if err != nil {
		exit(err)
	}
	for i := uint64(0); ; i++ {
		content := storetest.Random(i, 3000)
		switch i % 4 {
		case 1:
			content = storetest.Text(i, 60_000)
		case 2:
			content = storetest.Random(i, 1200_000)
		case 3:
			content = storetest.Text(i, 1500_000)
		}
		d, _, err := s.Put(background, bytes.NewReader(content))
		if err != nil {
			exit(err)
		}
		fmt.Println(d)
	}
}

// kill -9 at any time: what was acknowledged is there, what is visible is
// whole, and nothing has to be cleaned up.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for range 25 {
		cmd := child(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+rand.IntN(80))*time.Millisecond, func() { cmd.Process.Kill() })
		s := openLocal(t, dir)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			d, err := cas.ParseDigest(lines.Text())
			if err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			if _, err := readAll(s, d); err != nil {
				t.Errorf("acknowledged, then: %v", err)
			}
			acknowledged++
		}
		cmd.Wait()
		visibleIsWhole(t, s)
	}
	if acknowledged == 0 {
		t.Error("no object was ever acknowledged")
	}
	if names := listFiles(t, filepath.Join(dir, "tmp")); names != nil && anonymousFilesWork(dir) {
		t.Errorf("temporary files left: %v", names)
	}
	t.Logf("%d objects acknowledged", acknowledged)
}

func anonymousFilesWork(dir string) bool {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// Several processes put the same objects at the same time.
func TestWritersInProcesses(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		cmd := child(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		lines := bufio.NewScanner(out)
		for n := 0; n < 8 && lines.Scan(); n++ {
			d, err := cas.ParseDigest(lines.Text())
			if err != nil {
				t.Fatalf("a writer says %q", lines.Text())
			}
			if _, err := readAll(openLocal(t, dir), d); err != nil {
				t.Error(err)
			}
		}
		go io.Copy(io.Discard, out) // let it go on beside the next
	}
	visibleIsWhole(t, openLocal(t, dir))
}

// RLIMIT_FSIZE stands for a file system with small files; it works everywhere.
func TestFileSizeLimit(t *testing.T) {
	if out, err := child(t, "file limit", t.TempDir()).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func withFileLimit(dir string) error {
	limit := func(n uint64) error {
		var old unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: min(n, old.Max), Max: old.Max})
	}
	s, err := cas.OpenLocal(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o777); err != nil {
		return err
	}
	content := storetest.Random(1, 3<<20)
	if err := limit(1 << 20); err != nil {
		return err
	}
	if err := wantDiskFull(s, content); err != nil {
		return err
	}
	if err := limit(1 << 40); err != nil {
		return err
	}
	d, size, err := s.Put(background, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if err := limit(1 << 20); err != nil {
		return err
	}
	_, err = cas.NewPlacer(root, filepath.Join(dir, "tmp")).File(background, s, "model", d, size, false)
	if !cas.IsDiskFull(err) || !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("File = %v; want EFBIG", err)
	}
	if _, err := os.Lstat(filepath.Join(root, "model")); err == nil {
		return errors.New("a part of the file was placed")
	}
	return nil
}

// wantDiskFull expects a Put to fail and to leave nothing.
func wantDiskFull(s *cas.Local, content []byte) error {
	_, _, err := s.Put(background, bytes.NewReader(content))
	if !cas.IsDiskFull(err) || cas.IsReadOnly(err) {
		return fmt.Errorf("Put of %d bytes = %v; want a full disk", len(content), err)
	}
	if _, err := s.Stat(background, cas.Sum(content)); !isMissing(err) {
		return fmt.Errorf("after a Put that failed Stat = %v", err)
	}
	if left, err := os.ReadDir(s.TempDir()); err != nil || len(left) > 0 {
		return fmt.Errorf("after a Put that failed tmp has %v, %v", left, err)
	}
	return nil
}

// A real disk that is really full, and then really read-only: a tmpfs in a
// user namespace, which needs no privileges where the kernel allows it.
func TestSmallDisk(t *testing.T) {
	cmd := child(t, "small disk", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case cmd.ProcessState == nil, bytes.Contains(out, []byte(cannotMount)):
		t.Skipf("no user namespaces: %v %s", err, out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

const cannotMount = "cannot mount"

func onSmallDisk(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		return fmt.Errorf("%s: %w", cannotMount, err)
	}
	s, err := cas.OpenLocal(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	old := storetest.Text(1, 200_000)
	if _, _, err := s.Put(background, bytes.NewReader(old)); err != nil {
		return err
	}
	for size := 200_000; size < 8<<20; size += 400_000 { // around and beyond what is left
		content := storetest.Random(uint64(size), size)
		if size > 4<<20 {
			if err := wantDiskFull(s, content); err != nil {
				return err
			}
			continue
		}
		_, _, err := s.Put(background, bytes.NewReader(content))
		if err == nil {
			if err := os.RemoveAll(filepath.Join(dir, "store", "packs")); err != nil {
				return err
			}
		} else if err := wantDiskFull(s, content); err != nil {
			return err
		}
		if _, _, err := s.Put(background, bytes.NewReader(old)); err != nil {
			return fmt.Errorf("what is there already, on a full disk: %w", err)
		}
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("%s: read-only: %w", cannotMount, err)
	}
	return onReadOnlyDisk(s, old)
}

func onReadOnlyDisk(s *cas.Local, old []byte) error {
	if b, err := readAll(s, cas.Sum(old)); err != nil || !bytes.Equal(b, old) {
		return fmt.Errorf("read from a read-only store: %d bytes, %w", len(b), err)
	}
	if _, _, err := s.Put(background, bytes.NewReader(old)); err != nil {
		return fmt.Errorf("what is there already, in a read-only store: %w", err)
	}
	again, err := cas.OpenLocal(filepath.Dir(s.TempDir()))
	if err != nil {
		return err
	}
	if _, _, err := again.Put(background, bytes.NewReader(old)); err != nil {
		return fmt.Errorf("what is there already, in a read-only store just opened: %w", err)
	}
	if _, _, err := s.Put(background, strings.NewReader("new")); !cas.IsReadOnly(err) || cas.IsDiskFull(err) {
		return fmt.Errorf("Put into a read-only store = %v", err)
	}
	return nil
}

// A store that the user may not write to, which root cannot be kept from.
func TestStoreWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := openLocal(t, t.TempDir())
	content := storetest.Random(1, 10_000)
	mustPut(t, s, content)
	bad := storetest.Random(2, 10_000)
	d := mustPut(t, s, bad)
	if err := s.Corrupt(d); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, name := range append(listFiles(t, s.dir), "packs/x", "tmp/x", "x") {
		dirs = append(dirs, filepath.Join(s.dir, filepath.Dir(name)))
	}
	for _, dir := range dirs {
		os.Chmod(dir, 0o500)
		defer os.Chmod(dir, 0o700)
	}
	wantContent(t, s, content)
	mustPut(t, openLocal(t, s.dir), content)
	if _, _, err := s.Put(t.Context(), strings.NewReader("new")); !cas.IsReadOnly(err) {
		t.Errorf("Put = %v", err)
	}
	_, err := readAll(s, d)
	if e := asCorrupt(err); e == nil || e.Quarantine != "" {
		t.Errorf("a corrupt object that cannot be moved reads as %v", err)
	}
}
