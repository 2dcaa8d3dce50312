package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas"
)

// TestPowerCuts has kept work on a disk of its own, an ext4 in a file, copies the
// file at random instants, as a power cut would leave it, and looks at the copy:
// its lock is the last one that a command had finished with, or the next, every
// object that it and HEAD name is there and right, and kept goes on working.
//
//	FAULTS_CUTS=1000 go test ./cmd/kept -run TestPowerCuts -v -timeout 0
//
// It takes root, for the mounts, and is skipped without.
func TestPowerCuts(t *testing.T) {
	rounds := envInt(t, "FAULTS_CUTS", 16)
	seed := envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000))
	// What is in order in the first is so only by luck in the second, unless it was synced.
	for _, mode := range []string{"ordered", "writeback"} {
		t.Run(mode, func(t *testing.T) { powerCuts(t, mode, rounds/2, seed) })
	}
}

// blockDisk is an ext4 in a file.
type blockDisk struct {
	t                 *testing.T
	image, dir, mode  string
	copied, copiedDir string
}

func newBlockDisk(t *testing.T, dir, mode string) *blockDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a file")
	}
	images := dir
	if memory, err := os.MkdirTemp("/dev/shm", "kept-cuts-"); err == nil { // a copy is faster there
		t.Cleanup(func() { os.RemoveAll(memory) })
		images = memory
	}
	d := &blockDisk{t: t, image: filepath.Join(images, "image"), dir: filepath.Join(dir, "disk"), mode: mode,
		copied: filepath.Join(images, "copy"), copiedDir: filepath.Join(dir, "after")}
	if err := errors.Join(os.Mkdir(d.dir, 0o755), os.Mkdir(d.copiedDir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"truncate", "-s", "96M", d.image},
		{"mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", d.image},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v\n%s", args, err, out)
		}
	}
	if err := d.mount(d.image, d.dir); err != nil {
		t.Skip("no loop devices: ", err)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
	return d
}

// noise syncs a file again and again, so that the journal is written at any time
// and not only when kept asks for it, and returns how to stop that.
func (d *blockDisk) noise() (stop func()) {
	quit, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-quit:
				ended <- nil
				return
			case <-time.After(3 * time.Millisecond):
			}
			f, err := os.Create(filepath.Join(d.dir, "noise"))
			if err == nil {
				_, err = f.WriteString(time.Now().String())
				err = errors.Join(err, f.Sync(), f.Close())
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		close(quit)
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
}

// mount mounts without what ext4 does for programs that rename without a sync.
func (d *blockDisk) mount(image, dir string) error {
	out, err := exec.Command("mount", "-t", "ext4", "-o", "loop,noauto_da_alloc,data="+d.mode, image, dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return err
}

// unmountCopy unmounts the copy. A store closes its files when nobody can reach it
// any more.
func (d *blockDisk) unmountCopy() {
	for i := 0; ; i++ {
		runtime.GC()
		out, err := exec.Command("umount", d.copiedDir).CombinedOutput()
		if err == nil {
			return
		}
		if i == 100 {
			d.t.Fatalf("%v\n%s", err, out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// copy copies what is on the disk at this instant. A copy during which something
// was written is none of one instant, and taken once more.
func (d *blockDisk) copy() {
	for range 20 {
		before, err := os.ReadFile(d.image)
		if err != nil {
			d.t.Fatal(err)
		}
		after, err := os.ReadFile(d.image)
		if err != nil {
			d.t.Fatal(err)
		}
		if bytes.Equal(before, after) {
			if err := os.WriteFile(d.copied, after, 0o600); err != nil {
				d.t.Fatal(err)
			}
			return
		}
	}
	d.t.Fatal("the disk does not come to rest")
}

func powerCuts(t *testing.T, mode string, rounds, seed int) {
	k := newKillRepo(t)
	d := newBlockDisk(t, filepath.Dir(k.dir), mode)
	at := filepath.Join(d.dir, "work")
	k.run("mv", k.dir, at)
	k.dir = at
	bin := filepath.Join(filepath.Dir(d.dir), "bin", "kept")
	// The sandbox has Git sync nothing; here it does what it does for users.
	k.env = append(k.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsync", "GIT_CONFIG_VALUE_0=default")
	kinds := []string{"add", "run", "gc --grace 0", "add", "restore"}
	head := k.read("kept.lock")
	sawNew := 0
	var acked string
	for i := range rounds {
		kind := kinds[i%len(kinds)]
		k.rng = rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		k.what = fmt.Sprintf("FAULTS_SEED=%d, data=%s, cut %d, %s", seed, mode, i, kind)
		args := k.change(kind)
		acked = k.read("kept.lock")
		// What is no work of kept's is not kept's to sync.
		if f, err := os.Open(k.dir); err != nil || errors.Join(unix.Syncfs(int(f.Fd())), f.Close()) != nil {
			t.Fatal("sync: ", err)
		}
		cmd := exec.Command(bin, args...)
		var out bytes.Buffer
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = k.dir, k.env, &out, &out
		quiet := d.noise()
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// A third of the cuts come right after the end: what was done is done for good.
		ended := k.rng.IntN(3) == 0
		if !ended {
			time.Sleep(time.Duration(k.rng.Int64N(int64(max(k.took[kind], 50*time.Millisecond)))))
			_ = cmd.Process.Signal(syscall.SIGSTOP)
			quiet()
			d.copy()
			_ = cmd.Process.Signal(syscall.SIGCONT)
		}
		if err := cmd.Wait(); err != nil {
			k.fail("%v: %v\n%s", args, err, out.String())
		}
		next := k.read("kept.lock")
		locks := []string{head, acked, next}
		if ended {
			quiet()
			d.copy()
			locks[1] = next
			k.took[kind] = time.Since(began)
		}
		if lock := k.afterCut(d, kind, locks); lock == next && next != acked {
			sawNew++
		}
		if t.Failed() {
			t.Fatal("stopped after ", k.what)
		}
	}
	t.Logf("data=%s: %d power cuts, %d after a new lock was in place; FAULTS_SEED=%d", mode, rounds, sawNew, seed)
}

// afterCut looks at the copy of the disk and returns its lock. The locks are those
// of HEAD, the last one that a command ended with, and the one that this one wrote.
func (k *killRepo) afterCut(d *blockDisk, kind string, locks []string) string {
	if err := d.mount(d.copied, d.copiedDir); err != nil {
		k.t.Fatal(err)
	}
	defer d.unmountCopy()
	after := *k
	box := *k.sandbox
	after.sandbox = &box
	after.dir = filepath.Join(d.copiedDir, "work")
	lock := after.read("kept.lock")
	if lock != locks[1] && lock != locks[2] {
		k.fail("the lock is neither the last one nor the next:\n%s", lock)
	}
	store, err := cas.OpenForeign(filepath.Join(after.dir, ".git/kept/store"))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, text := range []string{locks[0], lock} {
		if err := lockStored(store, text); err != nil {
			k.fail("the lock: %v", err)
		}
	}
	commands := [][]string{{"fsck", "--full"}, {"status"}, {"restore"}}
	if kind == "add" {
		commands = append(commands, []string{"add", "data/extra.bin", "data/set"})
	}
	for _, args := range commands {
		// By the path, for the copy has its own: kept is not on it.
		cmd := exec.Command(filepath.Join(filepath.Dir(d.dir), "bin", "kept"), args...)
		cmd.Dir, cmd.Env = after.dir, k.env
		if out, err := cmd.CombinedOutput(); err != nil {
			k.fail("after the cut, %v: %v\n%s", args, err, out)
		}
		if args[0] == "restore" && d.mode == "ordered" {
			k.checkOutputs(after.dir, store, lock)
		}
	}
	for _, name := range []string{"packs", "index"} {
		if strays, _ := filepath.Glob(filepath.Join(after.dir, ".git/kept/store", name, "tmp-*")); strays != nil {
			k.fail("strays among the %s: %s", name, strings.Join(strays, " "))
		}
	}
	return lock
}

// checkOutputs compares the artifacts in a worktree with its lock, with nothing
// that kept remembers of them.
func (k *killRepo) checkOutputs(dir string, store cas.Store, text string) {
	for name, want := range lockFiles(k.t, store, text) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || cas.Sum(b) != want {
			k.fail("%s is not what the lock says: %v", name, err)
		}
	}
}
