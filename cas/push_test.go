package cas_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/mem"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// tiny returns a store whose packs are small, so that little content takes many.
func tiny(t testing.TB, dir string) *cas.Local {
	s := openLocal(t, dir).Local
	s.SetSizes(400<<10, 64)
	return s
}

func known(t testing.TB) cas.TransferOptions {
	return cas.TransferOptions{Known: filepath.Join(t.TempDir(), "known"), Jobs: 3}
}

// A second version costs what is new in it.
func TestPushSecondVersion(t *testing.T) {
	first := array32(1, 20<<20)
	second := bytes.Clone(first)
	copy(second[7<<20:], noise(1, 100<<10))
	for name, o := range map[string]func(t *testing.T, o *cas.TransferOptions, base cas.Digest){
		"known": func(*testing.T, *cas.TransferOptions, cas.Digest) {},
		"base": func(t *testing.T, o *cas.TransferOptions, base cas.Digest) {
			o.Known = t.TempDir()
			o.Bases = []cas.Wanted{file(cas.Sum([]byte("nowhere"))), file(base)}
		},
		"base and nothing known": func(_ *testing.T, o *cas.TransferOptions, base cas.Digest) {
			o.Known = ""
			o.Bases = []cas.Wanted{file(base)}
		},
		"both wanted": func(_ *testing.T, o *cas.TransferOptions, base cas.Digest) { o.Known = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir()).Local
			r := mem.New()
			opts := known(t)
			a := put(t, s, first)[0]
			all := push(t, s, r, opts, file(a)).Bytes
			b := put(t, s, second)[0]
			o(t, &opts, a)
			want := []cas.Wanted{file(b)}
			if name == "both wanted" {
				want = append(want, file(a))
			}
			done := push(t, s, r, opts, want...)
			if done.Bytes > all/10 || done.Reused < all*8/10 || done.Objects != 1 {
				t.Errorf("the second version: %+v, the first took %d", done, all)
			}
			sound(t, r)
			// And on the way back.
			to := openLocal(t, t.TempDir())
			fetch(t, to.Local, r, cas.TransferOptions{}, file(a))
			if got := fetch(t, to.Local, r, cas.TransferOptions{}, file(b)); got.Bytes > all/10 || got.Reused < all*8/10 {
				t.Errorf("fetch of the second version: %+v", got)
			}
			same(t, to.dir, file(a), file(b))
		})
	}
}

// What is not wanted never leaves the machine, however it is stored.
func TestPushSendsNothingElse(t *testing.T) {
	secret := []byte("the secret " + strings.Repeat("0123456789abcdef", 40))
	a, b := prose(1, 3000), prose(2, 3000)
	for name, prepare := range map[string]func(t *testing.T, s *cas.Local){
		"in one group":  func(t *testing.T, s *cas.Local) { put(t, s, a, secret, b) },
		"without entry": func(t *testing.T, s *cas.Local) { putGroup(t, s, [][]byte{a, secret, b}, 0, 2) },
		"at the end":    func(t *testing.T, s *cas.Local) { putGroup(t, s, [][]byte{a, b, secret}, 0, 1) },
		"at the start":  func(t *testing.T, s *cas.Local) { putGroup(t, s, [][]byte{secret, a, b}, 1, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir()).Local
			prepare(t, s)
			r := mem.New()
			want := []cas.Wanted{file(cas.Sum(a)), file(cas.Sum(b))}
			push(t, s, r, known(t), want...)
			to := openLocal(t, t.TempDir())
			fetch(t, to.Local, r, cas.TransferOptions{}, want...)
			same(t, to.dir, want...)
			if keysOn(t, r)[cas.Sum(secret)] > 0 {
				t.Error("the secret has an entry on the remote")
			}
			for _, name := range packsOn(t, r) {
				if bytes.Contains(get(t, r, name), secret[:30]) {
					t.Errorf("%s has the secret", name)
				}
			}
		})
	}
}

func putGroup(t testing.TB, s *cas.Local, contents [][]byte, named ...int) {
	t.Helper()
	err := s.PutGroup(background, contents, func(i int) bool {
		for _, n := range named {
			if n == i {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The same needs in the same packs make the same packs.
func TestPushIsTheSameEachTime(t *testing.T) {
	s := tiny(t, t.TempDir())
	put(t, s, prose(9, 5000), noise(9, 5000))
	list := put(t, s, noise(1, 1<<20), prose(1, 300<<10), prose(2, 5000), []byte("not wanted"), prose(3, 5000))
	want := wantedFiles(append(list[:3], list[4]))
	var names []string
	for range 3 {
		r := mem.New()
		push(t, s, r, cas.TransferOptions{}, want...)
		if now := packsOn(t, r); names == nil {
			names = now
		} else if strings.Join(now, " ") != strings.Join(names, " ") {
			t.Errorf("packs %v, before %v", now, names)
		}
		want = append(want[1:], want[0])
	}
}

// What the store does not have whole is missing, and all else is pushed.
func TestPushWhatIsMissing(t *testing.T) {
	s := openLocal(t, t.TempDir())
	list := put(t, s.Local, noise(1, 1<<20), prose(1, 5000))
	none := cas.Sum([]byte("none"))
	half := cas.Tree{{Path: "a", Kind: cas.File, Digest: list[1], Size: 5000}, {Path: "b", Kind: cas.File, Digest: none, Size: 4}}
	tree := put(t, s.Local, half.Marshal())[0]
	r := mem.New()
	done := push(t, s.Local, r, known(t), file(none), cas.Wanted{Digest: tree, Folder: true}, file(list[0]), file(list[1]))
	if done.Objects != 2 || len(done.Missing) != 2 {
		t.Errorf("%+v", done)
	}
	if roots, _ := sound(t, r); roots != 2 {
		t.Errorf("%d roots, want 2", roots)
	}
	got := fetch(t, openLocal(t, t.TempDir()).Local, r, cas.TransferOptions{}, file(none), file(list[0]))
	if len(got.Missing) != 1 || got.Missing[0] != none || got.Objects != 1 {
		t.Errorf("fetch: %+v", got)
	}
}

// A damaged group is not pushed, and all that does not need it is.
func TestPushWhatIsDamaged(t *testing.T) {
	s := openLocal(t, t.TempDir())
	bad := put(t, s.Local, noise(1, 200<<10), noise(2, 200<<10), prose(1, 200<<10))
	good := put(t, s.Local, prose(2, 3<<20))
	if err := s.Corrupt(bad[0]); err != nil {
		t.Fatal(err)
	}
	r := mem.New()
	done, err := s.Push(background, r, wantedFiles(append(bad, good...)), known(t))
	var corrupt *cas.CorruptError
	if !errors.As(err, &corrupt) || len(done.Missing) != 1 || done.Missing[0] != bad[0] || done.Objects != 3 {
		t.Fatalf("%+v: %v", done, err)
	}
	to := openLocal(t, t.TempDir())
	want := wantedFiles(append(bad[1:], good...))
	fetch(t, to.Local, r, cas.TransferOptions{}, want...)
	same(t, to.dir, want...)
	sound(t, r)
}

func TestPushDryRun(t *testing.T) {
	s := openLocal(t, t.TempDir())
	want := []cas.Wanted{putFolder(t, s.Local, manyFiles(1, 50)), file(put(t, s.Local, noise(1, 1<<20))[0])}
	r := mem.New()
	o := known(t)
	o.DryRun = true
	dry := push(t, s.Local, r, o, want...)
	if len(packsOn(t, r)) > 0 {
		t.Error("a dry run has put packs")
	}
	o.DryRun = false
	done := push(t, s.Local, r, o, want...)
	if dry.Objects != done.Objects || dry.Bytes != done.Bytes {
		t.Errorf("said %+v, did %+v", dry, done)
	}
	to := openLocal(t, t.TempDir())
	dry = fetch(t, to.Local, r, cas.TransferOptions{DryRun: true}, want...)
	if packs, _ := filepath.Glob(filepath.Join(to.dir, "packs", "*")); len(packs) > 0 {
		t.Error("a dry run has stored packs")
	}
	if done := fetch(t, to.Local, r, cas.TransferOptions{}, want...); dry.Objects != done.Objects || dry.Bytes > done.Bytes {
		t.Errorf("said %+v, did %+v", dry, done)
	}
}

// Whatever fails: at no time is there a root without its packs, and once nothing fails any more
// all is pushed.
func TestPushFaults(t *testing.T) {
	s := tiny(t, t.TempDir())
	want := []cas.Wanted{putFolder(t, s, manyFiles(1, 20)), file(put(t, s, noise(1, 900<<10))[0]), file(put(t, s, prose(1, 9000))[0])}
	count := func() int {
		r := remotetest.NewFaulty(mem.New())
		r.Set()
		push(t, s, r, cas.TransferOptions{Jobs: 2}, want...)
		return r.Count("")
	}()
	for _, how := range []remotetest.How{remotetest.Fail, remotetest.Lost, remotetest.Cut, remotetest.Missing} {
		for _, forever := range []bool{false, true} {
			for n := 1; n <= count; n += faultStep {
				inner := mem.New()
				r := remotetest.NewFaulty(inner)
				r.Set(remotetest.Fault{How: how, Nth: n, Forever: forever, At: 1000})
				o := known(t)
				o.Jobs = 2
				_, err := s.Push(background, r, want, o)
				if err == nil && how != remotetest.Missing && how != remotetest.Cut { // what is not there can't be cut
					t.Errorf("%s at %d: no error", how, n)
				}
				sound(t, inner)
				r.Set()
				done := push(t, s, r, o, want...)
				if done.Objects+done.Present != len(want) {
					t.Errorf("%s at %d: then %+v", how, n, done)
				}
				if roots, _ := sound(t, inner); roots != len(want) {
					t.Errorf("%s at %d: %d roots", how, n, roots)
				}
			}
		}
	}
}

// A push that is repeated puts only what was on its way.
func TestPushGoesOn(t *testing.T) {
	s := tiny(t, t.TempDir())
	want := file(put(t, s, noise(1, 4<<20))[0])
	r := remotetest.NewFaulty(mem.New())
	r.Set(remotetest.Fault{Op: "put", Nth: 6, Forever: true})
	o := known(t)
	o.Jobs = 1
	if _, err := s.Push(background, r, []cas.Wanted{want}, o); err == nil {
		t.Fatal("no error")
	}
	r.Set()
	done := push(t, s, r, o, want)
	if done.Reused < 1<<20 || done.Bytes > 3<<20 {
		t.Errorf("%+v", done)
	}
}

// What a remote has lost is put again, whatever is known of it.
func TestPushRepairs(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, r remote.Remote, root string, packs []string){
		"a pack is gone": func(t *testing.T, r remote.Remote, _ string, packs []string) { _ = r.Delete(background, packs[1]) },
		"all packs are gone": func(t *testing.T, r remote.Remote, _ string, packs []string) {
			for _, p := range packs {
				_ = r.Delete(background, p)
			}
		},
		"a pack is cut short": func(t *testing.T, r remote.Remote, _ string, packs []string) {
			b := get(t, r, packs[0])
			write(t, r, packs[0], b[:len(b)/2])
		},
		"a pack is longer": func(t *testing.T, r remote.Remote, _ string, packs []string) {
			write(t, r, packs[0], append(get(t, r, packs[0]), 0))
		},
		"the root is gone":  func(t *testing.T, r remote.Remote, root string, _ []string) { _ = r.Delete(background, root) },
		"the root is empty": func(t *testing.T, r remote.Remote, root string, _ []string) { write(t, r, root, nil) },
		"the root is another": func(t *testing.T, r remote.Remote, root string, _ []string) {
			write(t, r, root, get(t, r, "roots/"+cas.Sum([]byte("b")).Hex()))
		},
		"the root is cut": func(t *testing.T, r remote.Remote, root string, _ []string) {
			b := get(t, r, root)
			write(t, r, root, b[:len(b)-1])
		},
		"the root is of zeros": func(t *testing.T, r remote.Remote, root string, _ []string) { write(t, r, root, make([]byte, 300)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := tiny(t, t.TempDir())
			want := wantedFiles(put(t, s, noise(1, 1<<20), []byte("b")))
			r := mem.New()
			o := known(t)
			push(t, s, r, o, want...)
			spoil(t, r, "roots/"+want[0].Digest.Hex(), packsOn(t, r))
			done := push(t, s, r, o, want...)
			if done.Objects == 0 {
				t.Errorf("nothing was put: %+v", done)
			}
			sound(t, r)
			to := openLocal(t, t.TempDir())
			fetch(t, to.Local, r, cas.TransferOptions{}, want...)
			same(t, to.dir, want...)
		})
	}
}

// A pack that is there, of the right size, and damaged, is put again by a push that looks.
func TestPushVerifies(t *testing.T) {
	for name, at := range map[string]func(size int) int{
		"the first group": func(int) int { return 40 },
		"the middle":      func(size int) int { return size / 2 },
		"the table":       func(size int) int { return size - 100 },
		"the last byte":   func(size int) int { return size - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := tiny(t, t.TempDir())
			want := wantedFiles(put(t, s, noise(1, 1<<20), []byte("b")))
			r := mem.New()
			o := known(t)
			push(t, s, r, o, want...)
			packs := packsOn(t, r)
			b := bytes.Clone(get(t, r, packs[1]))
			b[at(len(b))] ^= 4
			write(t, r, packs[1], b)

			// Without looking it is believed.
			if done := push(t, s, r, o, want...); done.Objects != 0 || done.Damaged != 0 {
				t.Errorf("%+v", done)
			}
			o.Verify = true
			done := push(t, s, r, o, want...)
			if done.Objects == 0 || done.Damaged != 1 || done.Bytes < int64(len(b))/2 || done.Bytes > 2*int64(len(b)) {
				t.Errorf("%+v, and the pack has %d bytes", done, len(b))
			}
			sound(t, r)
			var meter tally
			o.Meter = &meter
			if done := push(t, s, r, o, want...); done.Objects != 0 || done.Damaged != 0 || done.Bytes != 0 {
				t.Errorf("and again: %+v", done)
			}
			if n := meter.moved.Load(); n < 1<<20 || n != meter.total.Load() {
				t.Errorf("looking again was metered as %d bytes of %d", n, meter.total.Load())
			}
			to := openLocal(t, t.TempDir())
			fetch(t, to.Local, r, cas.TransferOptions{}, want...)
			same(t, to.dir, want...)
		})
	}
}

// What a push could rely on for another object is looked at, too.
func TestPushVerifiesWhatItReliesOn(t *testing.T) {
	s := tiny(t, t.TempDir())
	first := wantedFiles(put(t, s, noise(1, 1<<20)))
	r := mem.New()
	o := known(t)
	push(t, s, r, o, first...)
	for _, name := range packsOn(t, r) {
		b := bytes.Clone(get(t, r, name))
		b[len(b)/2] ^= 1
		write(t, r, name, b)
	}
	second := wantedFiles(put(t, s, append(noise(1, 1<<20), "and more"...)))
	o.Verify = true
	if done := push(t, s, r, o, second...); done.Reused != 0 || done.Damaged == 0 {
		t.Errorf("%+v", done)
	}
	to := openLocal(t, t.TempDir())
	fetch(t, to.Local, r, cas.TransferOptions{}, second...)
	same(t, to.dir, second...)
}

func write(t testing.TB, r remote.Remote, name string, b []byte) {
	t.Helper()
	if err := r.Put(background, name, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

// What is known may be wrong in every way.
func TestKnownIsAdvice(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"gone":  func(t *testing.T, dir string) { _ = os.RemoveAll(dir) },
		"file":  func(t *testing.T, dir string) { _ = os.RemoveAll(dir); _ = os.WriteFile(dir, nil, 0o600) },
		"empty": func(t *testing.T, dir string) { eachFile(t, dir, func(string, []byte) []byte { return nil }) },
		"other": func(t *testing.T, dir string) {
			eachFile(t, dir, func(_ string, b []byte) []byte { return bytes.Repeat([]byte{'a'}, len(b)) })
		},
		"flip": func(t *testing.T, dir string) {
			eachFile(t, dir, func(_ string, b []byte) []byte { b[len(b)/2] ^= 1; return b })
		},
		"of another remote": func(t *testing.T, dir string) {
			s := tiny(t, t.TempDir())
			push(t, s, mem.New(), cas.TransferOptions{Known: dir}, wantedFiles(put(t, s, noise(1, 1<<20), prose(1, 1<<20), noise(2, 3<<20)))...)
		},
		"folders": func(t *testing.T, dir string) {
			eachFile(t, dir, func(name string, _ []byte) []byte { _ = os.Remove(name); _ = os.Mkdir(name, 0o700); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tiny(t, t.TempDir())
			r := mem.New()
			o := known(t)
			first := wantedFiles(put(t, s, noise(1, 1<<20)))
			push(t, s, r, o, first...)
			spoil(t, o.Known)
			second := wantedFiles(put(t, s, append(noise(1, 1<<20), noise(2, 1<<20)...)))
			push(t, s, r, o, append(first, second...)...)
			sound(t, r)
			to := openLocal(t, t.TempDir())
			fetch(t, to.Local, r, o, append(first, second...)...)
			same(t, to.dir, append(first, second...)...)
			if _, err := cas.Pushed(o.Known, nil); err != nil && name != "folders" && name != "file" {
				t.Error(err)
			}
		})
	}
}

func eachFile(t *testing.T, dir string, fn func(name string, b []byte) []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if b = fn(name, b); b != nil {
			return os.WriteFile(name, b, 0o600)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPushed(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	o := known(t)
	list := put(t, s, []byte("a"), []byte("b"), []byte("c"))
	r := mem.New()
	push(t, s, r, o, file(list[0]))
	push(t, s, r, o, file(list[0]), file(list[1]))
	there, err := cas.Pushed(o.Known, list)
	if err != nil || !there[list[0]] || !there[list[1]] || there[list[2]] {
		t.Errorf("%v: %v", there, err)
	}
	other := cas.TransferOptions{Known: t.TempDir()}
	fetch(t, openLocal(t, t.TempDir()).Local, r, other, file(list[1]))
	if there, err := cas.Pushed(other.Known, list); err != nil || !there[list[1]] || there[list[0]] {
		t.Errorf("after a fetch: %v: %v", there, err)
	}
	if there, err := cas.Pushed("", list); err != nil || len(there) > 0 {
		t.Errorf("%v: %v", there, err)
	}
}

// Two push much the same at once, and a collection runs beside.
func TestPushTogether(t *testing.T) {
	dir := t.TempDir()
	s := tiny(t, dir)
	want := wantedFiles(put(t, s, noise(1, 2<<20), prose(1, 1<<20), noise(3, 100)))
	put(t, s, noise(7, 1<<20)) // nobody needs it
	age(t, dir, 48*time.Hour)
	other := tiny(t, t.TempDir())
	put(t, other, noise(1, 2<<20), noise(4, 1<<20), prose(1, 1<<20))
	r := mem.New()
	var work sync.WaitGroup
	for i, from := range []*cas.Local{s, other, tiny(t, dir)} {
		work.Go(func() {
			if _, err := from.Push(background, r, want[:3-i%2], known(t)); err != nil {
				t.Error(err)
			}
		})
	}
	work.Go(func() {
		live := objects(want[0].Digest, want[1].Digest, want[2].Digest)
		if _, err := tiny(t, dir).Collect(background, cas.CollectOptions{Live: live, Grace: time.Hour}); err != nil {
			t.Error(err)
		}
	})
	work.Wait()
	sound(t, r)
	to := openLocal(t, t.TempDir())
	fetch(t, to.Local, r, cas.TransferOptions{}, want...)
	same(t, to.dir, want...)
}

// Requests are in proportion to bytes and wanted objects, not to files.
func TestRequests(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	want := putFolder(t, s, manyFiles(1, 3000))
	r := remotetest.NewFaulty(mem.New())
	r.Set()
	push(t, s, r, known(t), want)
	if n := r.Count(""); n > 5 {
		t.Errorf("%d requests to push 3000 files", n)
	}
	r.Set()
	fetch(t, openLocal(t, t.TempDir()).Local, r, known(t), want)
	if n := r.Count(""); n > 8 {
		t.Errorf("%d requests to fetch 3000 files", n)
	}
	large := file(put(t, s, noise(1, 48<<20))[0])
	push(t, s, r, known(t), large)
	r.Set()
	fetch(t, openLocal(t, t.TempDir()).Local, r, known(t), large)
	if n := r.Count(""); n > 3+48/2 {
		t.Errorf("%d requests to fetch 48 MiB", n)
	}
	t.Logf("%d requests for 48 MiB", r.Count(""))
}

// An object that lies in very many packs is put together again.
func TestPushFewPacks(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	r := mem.New()
	o := known(t)
	files := map[string][]byte{}
	for i := range 60 {
		content := noise(uint64(i), 300)
		files[strings.Repeat("x", i+1)] = content
		push(t, s, r, o, file(put(t, s, content)[0]))
	}
	want := putFolder(t, s, files)
	push(t, s, r, o, want)
	if n := len(cas.RootPacks(t, want.Digest.Hex(), get(t, r, "roots/"+want.Digest.Hex()))); n > 32 {
		t.Errorf("the root lists %d packs", n)
	}
	to := openLocal(t, t.TempDir())
	fetch(t, to.Local, r, cas.TransferOptions{}, want)
	same(t, to.dir, want)
}

func TestPushIsCancelled(t *testing.T) {
	s := tiny(t, t.TempDir())
	want := wantedFiles(put(t, s, noise(1, 4<<20)))
	ctx, cancel := context.WithCancel(background)
	r := remotetest.NewFaulty(mem.New())
	n := 0
	var mu sync.Mutex
	r.Before = func(op, _ string) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == 8 {
			cancel()
		}
	}
	if _, err := s.Push(ctx, r, want, known(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Of very many packs a list tells whether they are there. It may be wrong, or there is none.
func TestPushAsksForAList(t *testing.T) {
	s := openLocal(t, t.TempDir()).Local
	s.SetSizes(20<<10, 4096)
	want := file(put(t, s, noise(1, 32<<20))[0])
	inner := mem.New()
	push(t, s, inner, cas.TransferOptions{}, want)
	if n := len(packsOn(t, inner)); n <= 100 {
		t.Fatalf("only %d packs", n)
	}
	for name, fault := range map[string]remotetest.Fault{
		"true":        {Op: "delete"},
		"fails":       {Op: "list", Forever: true},
		"breaks":      {Op: "list", How: remotetest.Cut, At: 50, Forever: true},
		"lacks one":   {Op: "list", How: remotetest.Missing, At: 50},
		"has more":    {Op: "list", How: remotetest.Extra},
		"unsupported": {Op: "list", Err: remote.ErrUnsupported, Forever: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := remotetest.NewFaulty(inner)
			r.Set(fault)
			done, err := s.Push(background, r, []cas.Wanted{want}, known(t))
			switch name {
			case "fails", "breaks":
				if err == nil {
					t.Error("no error")
				}
				return
			case "lacks one":
				if err != nil || done.Objects != 1 {
					t.Errorf("%+v: %v", done, err)
				}
			default:
				if err != nil || done.Present != 1 {
					t.Errorf("%+v: %v", done, err)
				}
			}
			sound(t, inner)
			if n := r.Count(""); name == "true" && n > 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
