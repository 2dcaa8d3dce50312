package cas_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
	"github.com/kept-dev/kept/cas/remote"
	place "github.com/kept-dev/kept/cas/remote/file"
	"github.com/kept-dev/kept/cas/remote/mem"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// whole fails if a store has anything that is not right.
func whole(t testing.TB, dir string) {
	t.Helper()
	checked, err := openLocal(t, dir).Check(background, cas.CheckOptions{Full: true})
	if err != nil || len(checked.Damaged) > 0 || len(checked.Unreadable) > 0 {
		t.Fatalf("the store: %+v: %v", checked, err)
	}
}

// Whatever a remote does, once or always: nothing wrong is stored, and once it is honest all comes.
func TestFetchFaults(t *testing.T) {
	s := tiny(t, t.TempDir())
	want := []cas.Wanted{
		putFolder(t, s, manyFiles(1, 20)), file(put(t, s, noise(1, 900<<10))[0]),
		file(put(t, s, prose(1, 9000))[0]), file(put(t, s, array32(1, 1<<20))[0]),
	}
	inner := mem.New()
	push(t, s, inner, cas.TransferOptions{}, want...)
	r := remotetest.NewFaulty(inner)
	r.Set()
	fetch(t, openLocal(t, t.TempDir()).Local, r, cas.TransferOptions{Jobs: 2}, want...)
	count := r.Count("")
	hows := []remotetest.How{
		remotetest.Fail, remotetest.Cut, remotetest.Short, remotetest.Long, remotetest.Zero, remotetest.Flip, remotetest.Missing,
	}
	for _, how := range hows {
		for _, forever := range []bool{false, true} {
			for n := 1; n <= count; n += faultStep {
				dir := filepath.Join(t.TempDir(), "s")
				o := known(t)
				o.Jobs = 2
				r.Set(remotetest.Fault{How: how, Nth: n, Forever: forever, At: 100})
				done, err := openLocal(t, dir).Fetch(background, r, want, o)
				whole(t, dir)
				if forever && err == nil && len(done.Missing) == 0 && how != remotetest.Long && r.Struck() > 0 {
					t.Errorf("%s from %d on: no error, %+v", how, n, done)
				}
				if err != nil && !strings.Contains(err.Error(), "packs/") && !strings.Contains(err.Error(), "roots/") {
					t.Errorf("%s at %d: the error does not name a file: %v", how, n, err)
				}
				r.Set()
				fetch(t, openLocal(t, dir).Local, r, o, want...)
				whole(t, dir)
				same(t, dir, want...)
			}
		}
	}
}

// What is damaged on the remote is an error for what needs it, and all else comes.
func TestFetchFromADamagedRemote(t *testing.T) {
	for name, spoil := range map[string]func(b, other []byte) []byte{
		"gone":           func(_, _ []byte) []byte { return nil },
		"another pack":   func(_, other []byte) []byte { return other },
		"cut short":      func(b, _ []byte) []byte { return b[:len(b)-100] },
		"a group":        func(b, _ []byte) []byte { b[100] ^= 1; return b },
		"zeros":          func(b, _ []byte) []byte { clear(b); return b },
		"the table":      func(b, _ []byte) []byte { b[len(b)-100] ^= 1; return b },
		"the trailer":    func(b, _ []byte) []byte { b[len(b)-60] ^= 1; return b },
		"table at 2^60":  func(b, _ []byte) []byte { binary.LittleEndian.PutUint64(b[len(b)-64:], 1<<60); return b },
		"another format": func(b, _ []byte) []byte { b[len(b)-6], b[10] = '2', '2'; return b },
		"twice as long":  func(b, _ []byte) []byte { return append(bytes.Clone(b), b...) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir()).Local
			r := mem.New()
			bad, good := put(t, s, noise(1, 600<<10))[0], put(t, s, prose(1, 600<<10))[0]
			push(t, s, r, cas.TransferOptions{}, file(bad))
			of := packsOn(t, r)[0]
			push(t, s, r, cas.TransferOptions{}, file(good))
			var other []byte
			for _, name := range packsOn(t, r) {
				if name != of {
					other = get(t, r, name)
				}
			}
			if b := spoil(bytes.Clone(get(t, r, of)), other); b == nil {
				_ = r.Delete(background, of)
			} else {
				write(t, r, of, b)
			}
			dir := t.TempDir()
			done, err := openLocal(t, dir).Fetch(background, r, []cas.Wanted{file(bad), file(good)}, known(t))
			switch {
			case name == "twice as long":
				if err != nil {
					t.Error(err) // the pack is where the root says
				}
			case err == nil || done.Objects != 1:
				t.Fatalf("%+v: %v", done, err)
			case !strings.Contains(err.Error(), of) || !strings.Contains(err.Error(), bad.String()):
				t.Errorf("it does not name pack and object: %v", err)
			}
			whole(t, dir)
			same(t, dir, file(good))
		})
	}
}

// A manifest is named by its content, and nothing else proves it.
func TestFetchOfAFalseManifest(t *testing.T) {
	for _, chunks := range []int{1, 2} {
		s := openLocal(t, t.TempDir()).Local
		content := noise(1, 1000)
		name := cas.Sum([]byte("another content"))
		if err := s.PutFalse(background, name, content, 1, 1); err != nil {
			t.Fatal(err)
		}
		want := []cas.Wanted{file(name)}
		good := put(t, s, noise(2, 1000))[0]
		r := mem.New()
		push(t, s, r, cas.TransferOptions{}, append(want, file(good))...)
		to := openLocal(t, t.TempDir())
		if chunks == 2 { // it is read back then
			put(t, to.Local, content)
		}
		done, err := to.Fetch(background, r, append(want, file(good)), known(t))
		var corrupt *cas.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Digest != name || done.Objects != 1 {
			t.Fatalf("%+v: %v", done, err)
		}
		if _, err := openLocal(t, to.dir).Stat(background, name); !isMissing(err) {
			t.Errorf("the false manifest is in the store: %v", err)
		}
		same(t, to.dir, file(good))
	}
}

// A remote that takes one request at a time, and fails now and then, is enough.
func TestTransferOneAtATime(t *testing.T) {
	s := tiny(t, t.TempDir())
	want := []cas.Wanted{putFolder(t, s, manyFiles(1, 50)), file(put(t, s, noise(1, 6<<20))[0])}
	faulty := remotetest.NewFaulty(mem.New())
	r := remote.Steady(faulty, remote.Limits{Jobs: 1})
	for _, how := range []remotetest.How{remotetest.Fail, remotetest.Cut, remotetest.Short} {
		faulty.Set(remotetest.Fault{How: how, Nth: 5, At: 1000}, remotetest.Fault{Op: "get", How: how, Nth: 9, At: 70_000})
		push(t, s, r, known(t), want...)
		to := openLocal(t, t.TempDir())
		fetch(t, to.Local, r, known(t), want...)
		same(t, to.dir, want...)
	}
	sound(t, faulty)
}

// A manifest may be that of more than anybody can read: who waits for it can give up.
func TestFetchWithoutEnd(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	name := cas.Sum([]byte("without end"))
	if err := s.PutFalse(background, name, []byte("a"), 5, 4096); err != nil {
		t.Fatal(err)
	}
	r := mem.New()
	push(t, s, r, cas.TransferOptions{}, file(name))
	ctx, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	if _, err := openLocal(t, t.TempDir()).Fetch(ctx, r, []cas.Wanted{file(name)}, known(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A root may list what it likes.
func TestFetchWithHostileRoots(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	d := put(t, s, noise(1, 1000))[0]
	object := "object " + d.String() + " file"
	line := func(n int, size, table int64) string { return fmt.Sprintf("pack %064x %d %d", n, size, table) }
	many := []string{"kept root 1", object}
	for n := range 3000 {
		many = append(many, line(n+1, 1<<39, 64<<20))
	}
	for name, b := range map[string][]byte{
		"no packs":        rootText("kept root 1", object),
		"huge packs":      rootText(many...),
		"a huge table":    rootText("kept root 1", object, line(1, 1<<40, 1<<40-64)),
		"an endless file": append(rootText("kept root 1", object), make([]byte, 20<<20)...),
	} {
		t.Run(name, func(t *testing.T) {
			r := mem.New()
			write(t, r, "roots/"+d.Hex(), b)
			to := openLocal(t, t.TempDir())
			if done, err := to.Fetch(background, r, []cas.Wanted{file(d)}, known(t)); err == nil {
				t.Errorf("%+v", done)
			}
			push(t, s, r, known(t), file(d))
			fetch(t, to.Local, r, known(t), file(d))
			same(t, to.dir, file(d))
		})
	}
}

// slow is a remote whose readers are followed.
type slow struct {
	remote.Remote
	delay time.Duration
}

func (s slow) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	time.Sleep(s.delay)
	return s.Remote.Get(ctx, name, offset, length)
}

// A fetch that was interrupted goes on where it was.
func TestFetchGoesOn(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	want := file(put(t, s, noise(1, 30<<20))[0])
	inner := mem.New()
	push(t, s, inner, cas.TransferOptions{}, want)
	for _, end := range []string{"fault", "cancel"} {
		t.Run(end, func(t *testing.T) {
			r := remotetest.NewFaulty(inner)
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			if end == "fault" {
				r.Set(remotetest.Fault{Op: "get", Nth: 7, Forever: true})
			} else {
				n := 0
				var mu sync.Mutex
				r.Before = func(string, string) {
					mu.Lock()
					defer mu.Unlock()
					if n++; n == 7 {
						cancel()
					}
				}
			}
			to := openLocal(t, t.TempDir())
			o := known(t)
			o.Jobs = 1
			if _, err := to.Fetch(ctx, r, []cas.Wanted{want}, o); err == nil {
				t.Fatal("no error")
			}
			if _, err := openLocal(t, to.dir).Stat(background, want.Digest); !isMissing(err) {
				t.Errorf("it is there: %v", err)
			}
			r.Before = nil
			r.Set()
			done := fetch(t, openLocal(t, to.dir).Local, r, o, want)
			if done.Reused < 4<<20 || done.Bytes > 26<<20 {
				t.Errorf("%+v", done)
			}
			same(t, to.dir, want)
		})
	}
}

// What is fetched stays when a collection runs beside, and what is there already too.
func TestFetchAndCollect(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	want := wantedFiles(put(t, s, noise(1, 3<<20), prose(1, 1<<20), noise(3, 300<<10)))
	r := mem.New()
	push(t, s, r, cas.TransferOptions{}, want...)
	dir := t.TempDir()
	put(t, tiny(t, dir), noise(1, 3<<20), noise(9, 1<<20))
	age(t, dir, 48*time.Hour)
	var work sync.WaitGroup
	work.Go(func() {
		if _, err := openLocal(t, dir).Fetch(background, slow{r, time.Millisecond}, want, known(t)); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		work.Go(func() {
			_, err := openLocal(t, dir).Collect(background, cas.CollectOptions{Live: objects(), Grace: time.Hour, Wait: time.Second})
			if err != nil && !errors.Is(err, cas.ErrInUse) {
				t.Error(err)
			}
		})
	}
	work.Wait()
	// Only what came before the fetch began may have gone, and the fetch has looked since.
	fetch(t, openLocal(t, dir).Local, r, cas.TransferOptions{}, want...)
	same(t, dir, want...)
	whole(t, dir)
}

// A file of which few chunks look different from the others, which share groups from all
// over it, is hashed while it comes, and not read back.
func TestFetchReadsNothingBack(t *testing.T) {
	content := noise(1, 48<<20)
	for at := 4 << 20; at < len(content); at += 8 << 20 {
		copy(content[at:], prose(uint64(at), 64<<10))
	}
	from := openLocal(t, t.TempDir()).Local
	want := file(put(t, from, content)[0])
	r := mem.New()
	push(t, from, r, cas.TransferOptions{}, want)
	dir := t.TempDir()
	var reads atomic.Int64
	faults := disktest.NewFaults(disk.OS, func(op disktest.Op) error {
		if op.Kind == disktest.Read {
			reads.Add(1)
		}
		return nil
	})
	to, err := cas.OpenLocalOn(faults, dir)
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, to, r, cas.TransferOptions{}, want)
	if n := reads.Load(); n > 10 {
		t.Errorf("%d reads of the store", n)
	}
	same(t, dir, want)
}

// However much is fetched, little of it is in memory: the remote is a folder, so that all there is is the fetch's.
func TestFetchMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves 300 MB")
	}
	r, err := openAt(place.Open, "file://"+filepath.ToSlash(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	from := openLocal(t, t.TempDir()).Local
	want := file(put(t, from, noise(1, 300<<20))[0])
	push(t, from, r, cas.TransferOptions{}, want)
	to := openLocal(t, t.TempDir())
	most := heapWhile(func() { fetch(t, to.Local, r, cas.TransferOptions{}, want) })
	if most > 350<<20 {
		t.Errorf("%d MB in use", most>>20)
	}
	t.Logf("%d MB in use", most>>20)
}

// heapWhile returns the most bytes of heap that were seen in use while work ran, what was in use before left out.
func heapWhile(work func()) uint64 {
	runtime.GC()
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before, most := inUse(), uint64(0)
	var sampling sync.WaitGroup
	done := make(chan struct{})
	sampling.Go(func() {
		for tick := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-done:
				return
			case <-tick:
				most = max(most, inUse())
			}
		}
	})
	work()
	close(done)
	sampling.Wait()
	return most - min(most, before)
}
