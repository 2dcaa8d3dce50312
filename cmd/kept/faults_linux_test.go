package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace runs the calling test once more in a process that may mount, and
// reports whether this is that process. A user namespace needs no privileges
// where the kernel allows it.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("KEPT_TEST_NAMESPACE") != "" {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "KEPT_TEST_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && (cmd.ProcessState == nil || bytes.Contains(out, []byte(noMount))):
		t.Skipf("user namespaces with mounts are not allowed here: %v\n%s", err, out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
	return false
}

const noMount = "this process may not mount"

// disk is a file system of its own for a folder of a test.
type disk struct {
	t   *testing.T
	dir string
}

const roomy = 64 << 20

// newDisk mounts a roomy disk at dir, with what was there.
func newDisk(t *testing.T, dir string) *disk {
	t.Helper()
	d := &disk{t: t, dir: dir}
	aside := dir + "-aside"
	d.must(os.MkdirAll(dir, 0o755), os.Rename(dir, aside), os.Mkdir(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", roomy)); err != nil {
		t.Fatal(noMount, ": ", err)
	}
	t.Cleanup(func() { d.must(unix.Unmount(dir, unix.MNT_DETACH)) })
	out, err := exec.Command("cp", "-a", aside+"/.", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.must(os.RemoveAll(aside))
	return d
}

func (d *disk) must(errs ...error) {
	d.t.Helper()
	if err := errors.Join(errs...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) used() int64 {
	d.t.Helper()
	var st unix.Statfs_t
	d.must(unix.Statfs(d.dir, &st))
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

func (d *disk) resize(size int64) {
	d.t.Helper()
	d.must(unix.Mount("", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size)))
}

func (d *disk) readOnly(on bool) {
	d.t.Helper()
	flags := uintptr(unix.MS_REMOUNT)
	if on {
		flags |= unix.MS_RDONLY
	}
	d.must(unix.Mount("", d.dir, "tmpfs", flags, ""))
}

// change prepares the repository for a command of the kind: there is something
// new to run, to add, or to restore.
func (k *killRepo) change(kind string) []string {
	switch kind {
	case "run":
		k.newParams()
	case "add":
		k.newData()
		return []string{"add", "data/extra.bin", "data/set"}
	case "gc --grace 0":
		// Half of what was kept last stays, so that it has to be copied out of its pack.
		k.newData()
		k.run("kept", "add", "data/extra.bin", "data/set")
		k.write("data/extra.bin", "other")
		k.run("kept", "add", "data/extra.bin", "data/set")
	case "restore":
		for _, name := range []string{"models", "data/extra.bin", "data/set"} {
			if err := os.RemoveAll(filepath.Join(k.dir, name)); err != nil {
				k.t.Fatal(err)
			}
		}
	}
	return strings.Fields(kind)
}

// fullSizes returns how much of the room that it needs a command gets, in parts of
// a thousand: from nothing to more than enough.
func fullSizes(t *testing.T) (parts []int64) {
	n := envInt(t, "FAULTS_SIZES", 0)
	if n == 0 {
		return []int64{0, 10, 50, 100, 200, 350, 500, 650, 800, 900, 950, 990, 1000, 1100}
	}
	for i := range n {
		parts = append(parts, int64(i)*1150/int64(n))
	}
	return parts
}

// TestDiskFull takes the room away that a command needs, in steps, and holds it
// to saying so, to losing nothing, and to working once there is room.
//
//	FAULTS_SIZES=500 go test ./cmd/kept -run TestDiskFull -v -timeout 0
func TestDiskFull(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, c := range []struct{ kind, where string }{
		{"run", ".git/kept"}, {"add", ".git/kept"}, {"restore", ".git/kept"},
		{"gc --grace 0", ".git/kept"},
		{"run", "."}, {"add", "."}, {"restore", "."},
	} {
		t.Run(c.kind+" with little room in "+c.where, func(t *testing.T) { diskFull(t, c.where, c.kind) })
	}
}

func diskFull(t *testing.T, where, kind string) {
	failed, sizes := 0, fullSizes(t)
	for some := range slices.Chunk(sizes, 50) { // for what they leave in the store fills a disk
		t.Run(fmt.Sprintf("from %d", some[0]), func(t *testing.T) { failed += diskOfSizes(t, where, kind, some) })
	}
	if failed == 0 || failed == len(sizes) {
		t.Errorf("%s failed %d of %d times for want of room", kind, failed, len(sizes))
	}
	t.Logf("%s in %s: %d of %d sizes had too little room", kind, where, failed, len(sizes))
}

// diskOfSizes runs a command with parts of the room that it needs, and returns how often it was too little.
func diskOfSizes(t *testing.T, where, kind string, parts []int64) (failed int) {
	k := newKillRepo(t)
	d := newDisk(t, filepath.Join(k.dir, where))
	if where == "." {
		// With a disk of its own for the store, as a cache often has.
		newDisk(t, filepath.Join(k.dir, ".git/kept"))
	}
	args := k.change(kind)
	used := d.used()
	if out, err := k.try("kept", args...); err != nil {
		t.Fatalf("with room: %v\n%s", err, out)
	}
	// What replaces something else needs little more for good, but for a while.
	need := max(d.used()-used, 64<<10)
	for _, part := range parts {
		k.what = fmt.Sprintf("%s with %d/1000 of the room in %s", kind, part, where)
		k.rng = rand.New(rand.NewPCG(7, uint64(part)))
		args := k.change(kind)
		before := k.snapshot()
		d.resize(d.used() + need*part/1000)
		out, err := k.try("kept", args...)
		after := k.snapshot()
		k.checkStored(before["kept.lock"])
		k.checkStored(after["kept.lock"])
		if err != nil {
			failed++
			k.checkSaysFull(out)
			if after["kept.lock"] != before["kept.lock"] {
				k.fail("the command failed and changed the lock:\n%s", out)
			}
		}
		d.resize(roomy)
		k.checkClean()
		if out, err := k.try("kept", args...); err != nil {
			k.fail("with room again: %v\n%s", err, out)
		}
		k.checkBetween(kind, before, after, k.snapshot())
		for _, judge := range [][]string{{"verify"}, {"fsck"}} {
			if out, err := k.try("kept", judge...); err != nil {
				k.fail("%v: %v\n%s", judge, err, out)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	return failed
}

// checkSaysFull wants to read that the disk is full and where to look; a command
// that met the full disk itself has said so in its own words.
func (k *killRepo) checkSaysFull(out string) {
	if !strings.Contains(strings.ToLower(out), "no space left on device") {
		k.fail("the message does not say that the disk is full:\n%s", out)
	}
	if !strings.Contains(out, "hint: df -h") && !strings.Contains(out, "the command failed") {
		k.fail("no hint at the full disk:\n%s", out)
	}
}

// A limit on the size of files stands for a quota and for file systems with
// small files.
func TestFileSizeLimit(t *testing.T) {
	k := newKillRepo(t)
	k.write("../big.bin", k.random(600_000))
	k.write("train.sh", "set -e\nmkdir -p models/parts\nln -f ../big.bin models/model.bin\necho 1 > models/parts/1\necho '{\"score\": 1}' > metrics.json\n")
	k.write("data/extra.bin", k.random(700_000))
	for _, command := range []string{"run", "add data/extra.bin"} {
		before := k.snapshot()
		out, err := k.try("sh", "-c", "ulimit -f 600; exec kept "+command)
		if err == nil || !strings.Contains(out, "file too large") || !strings.Contains(out, "hint: df -h") {
			t.Errorf("kept %s with a limit of 300 kB: %v\n%s", command, err, out)
		}
		if got := k.snapshot()["kept.lock"]; got != before["kept.lock"] {
			t.Errorf("kept %s changed the lock", command)
		}
		k.run("kept", strings.Fields(command)...)
	}
	k.run("kept", "verify")
}

// TestReadOnlyStore has the store on a disk that can't be written: what only
// reads works, what has to write says why it can't and loses nothing.
func TestReadOnlyStore(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	k := newKillRepo(t)
	d := newDisk(t, filepath.Join(k.dir, ".git/kept"))
	whole := k.snapshot()
	d.readOnly(true)
	for _, args := range [][]string{{"status"}, {"verify"}, {"diff"}, {"show"}, {"restore"}, {"cat", "extra"}, {"run"}} {
		if out, err := k.try("kept", args...); err != nil {
			t.Errorf("kept %v: %v\n%s", args, err, out)
		}
	}
	k.change("restore")
	if out, err := k.try("kept", "restore"); err != nil {
		t.Errorf("restore of what is missing: %v\n%s", err, out)
	}
	k.checkSame(whole, k.snapshot())
	k.checkClean()
	for _, kind := range []string{"run", "add"} {
		args := k.change(kind)
		before := k.snapshot()
		out, err := k.try("kept", args...)
		if err == nil || !strings.Contains(out, "read-only file system") || !strings.Contains(out, "hint:") {
			t.Errorf("kept %s: %v\n%s", kind, err, out)
		}
		k.checkSame(before, k.snapshot())
	}
	d.readOnly(false)
	k.run("kept", "run")
	k.run("kept", "add", "data/extra.bin", "data/set")
	k.run("kept", "verify")
	if strings.Contains(k.run("git", "status", "--porcelain", "-uall"), ".kept-") {
		t.Error("temporary files are left in the working tree")
	}
}

// What killed processes left among the unfinished files goes after a day.
func TestSweep(t *testing.T) {
	k := newKillRepo(t)
	old := time.Now().Add(-25 * time.Hour)
	place := func(name string, when time.Time) string {
		file := filepath.Join(k.dir, ".git/kept", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), os.Chtimes(file, when, when)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	gone := []string{place("tmp/.kept-1.tmp", old), place("tmp/tmp-abc", old), place("store/tmp/tmp-abc", old), place("index/.index-12", old)}
	stay := []string{place("tmp/.kept-2.tmp", time.Now()), place("store/tmp/tmp-def", time.Now()), place("index/linked-old", old)}
	k.run("kept", "run")
	for _, file := range gone {
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s is still there", file)
		}
	}
	for _, file := range stay {
		if _, err := os.Lstat(file); err != nil {
			t.Error(err)
		}
	}
}
