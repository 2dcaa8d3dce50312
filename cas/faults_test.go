package cas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
	"github.com/kept-dev/kept/cas/storetest"
)

// faultCase is something that is done to a store while its disk fails. A case
// needs no checks of its own: whatever happens, what was acknowledged is there
// and right, what is visible is whole, and doing it again succeeds.
type faultCase struct {
	name string
	// before prepares the store, on a disk that works.
	before func(w *faultWorld) error
	// work is what the disk fails. It may be called again.
	work func(w *faultWorld) error
	// quarantines says that there is damage to move away.
	quarantines bool
	// collects says that what nobody needs may be there in part.
	collects bool
	// sizes says that packs and nodes are so small that there are several.
	sizes bool
}

var faultCases = []faultCase{
	{name: "put little", work: func(w *faultWorld) error { return w.put([]byte("little")) }},
	{name: "put nothing", work: func(w *faultWorld) error { return w.put(nil) }},
	{name: "put text", work: func(w *faultWorld) error { return w.put(storetest.Text(1, 100_000)) }},
	{name: "put chunks", work: func(w *faultWorld) error { return w.put(storetest.Random(1, 300_000)) }},
	{
		name:   "put what is there",
		before: func(w *faultWorld) error { return errors.Join(w.put(small), w.put(large)) },
		work:   func(w *faultWorld) error { return errors.Join(w.put(small), w.put(large)) },
	},
	{
		name:   "put what is there, and old",
		before: func(w *faultWorld) error { return errors.Join(w.put(small), w.put(large), w.age(48*time.Hour)) },
		work:   func(w *faultWorld) error { return errors.Join(w.put(small), w.put(large)) },
	},
	{
		name:   "put another version",
		before: func(w *faultWorld) error { return w.put(large) },
		work: func(w *faultWorld) error {
			next := slices.Clone(large)
			copy(next[200_000:], "another version")
			return w.putVersion(next, cas.Sum(large))
		},
	},
	{name: "a batch", before: func(w *faultWorld) error { return w.put(small) }, work: func(w *faultWorld) error {
		return w.batch(small, []byte("little"), storetest.Text(2, 3000), nil, large, storetest.Random(3, 9000))
	}},
	{name: "a batch of what is there", before: func(w *faultWorld) error { return w.batch(small, large) }, work: func(w *faultWorld) error {
		return w.has(small, large)
	}},
	{name: "read", before: func(w *faultWorld) error { return w.batch(small, large, nil) }, work: func(w *faultWorld) error { return w.read() }},
	{name: "make an index", before: func(w *faultWorld) error { return w.puts(8) }, work: func(w *faultWorld) error { return w.put(small) }},
	{name: "merge indexes", before: func(w *faultWorld) error { return w.puts(19) }, work: func(w *faultWorld) error { return w.puts(11) }},
	{name: "read by an index", before: func(w *faultWorld) error { return w.puts(12) }, work: func(w *faultWorld) error { return w.read() }},
	{
		name: "salvage",
		before: func(w *faultWorld) error {
			return errors.Join(w.batch(small, large, storetest.Text(5, 9000)), w.damage(small))
		},
		work: func(w *faultWorld) error { return w.readDamaged(small) }, quarantines: true,
	},
	{
		name:   "put what is damaged",
		before: func(w *faultWorld) error { return errors.Join(w.batch(small, large), w.damage(small)) },
		work: func(w *faultWorld) error {
			if err := w.readDamaged(small); err != nil {
				return err
			}
			return w.put(small)
		}, quarantines: true,
	},
	{
		name: "collect whole packs",
		before: func(w *faultWorld) error {
			err := errors.Join(w.put(small), w.put(large), w.put(storetest.Text(1, 9000)), w.age(48*time.Hour))
			w.drop(large)
			return err
		},
		work: func(w *faultWorld) error { return w.collect(24 * time.Hour) }, collects: true,
	},
	{
		name: "collect parts of packs",
		before: func(w *faultWorld) error {
			err := errors.Join(w.batch(small, large, storetest.Text(1, 9000), storetest.Text(2, 9000)), w.batch(storetest.Random(5, 300_000), storetest.Text(6, 700)))
			w.drop(small, storetest.Text(2, 9000), storetest.Random(5, 300_000))
			return err
		},
		work: func(w *faultWorld) error { return w.collect(0) }, collects: true,
	},
	{
		name:   "collect what is of use",
		before: func(w *faultWorld) error { return errors.Join(w.puts(6), w.put(large), w.age(48*time.Hour)) },
		work:   func(w *faultWorld) error { return w.collect(24 * time.Hour) }, collects: true,
	},
	{
		name: "collect and put again",
		before: func(w *faultWorld) error {
			err := errors.Join(w.puts(12), w.batch(small, large))
			w.drop(small, large)
			return err
		},
		work: func(w *faultWorld) error {
			if err := w.collect(0); err != nil {
				return err
			}
			return errors.Join(w.put(large), w.put(small))
		}, collects: true,
	},
	{
		// The manifest in the second pack needs chunks of the first, and nothing else does.
		name: "collect what another pack needs",
		before: func(w *faultWorld) error {
			err := errors.Join(w.put(large), w.put(append(slices.Clone(large), "and more"...)), w.age(48*time.Hour))
			w.drop(large)
			return err
		},
		work: func(w *faultWorld) error { return w.collect(24 * time.Hour) }, collects: true,
	},
	{name: "fill packs", sizes: true, work: func(w *faultWorld) error { return w.put(large) }},
	{
		name: "fill packs by a batch", sizes: true, before: func(w *faultWorld) error { return w.put(small) },
		work: func(w *faultWorld) error {
			return w.batch(large, small, storetest.Text(5, 9000), storetest.Random(13, 300_000))
		},
	},
	{
		name: "put another version into many packs", sizes: true, before: func(w *faultWorld) error { return w.put(large) },
		work: func(w *faultWorld) error {
			next := slices.Clone(large)
			copy(next[200_000:], "another version")
			if err := w.putVersion(next, cas.Sum(large)); err != nil {
				return err
			}
			return errors.Join(w.has(next, large), w.read())
		},
	},
	{
		name: "salvage one of many packs", sizes: true,
		before: func(w *faultWorld) error {
			return errors.Join(w.batch(small, storetest.Text(5, 9000), large), w.damage(small))
		},
		work: func(w *faultWorld) error {
			if err := w.readDamaged(small); err != nil {
				return err
			}
			return w.batch(large, small)
		}, quarantines: true,
	},
	{
		name: "collect out of many packs", sizes: true,
		before: func(w *faultWorld) error {
			err := errors.Join(w.batch(large, small, storetest.Text(5, 9000)), w.put(storetest.Random(13, 300_000)), w.put(append(slices.Clone(large), "more"...)))
			w.drop(large, storetest.Random(13, 300_000))
			return err
		},
		work: func(w *faultWorld) error { return w.collect(0) }, collects: true,
	},
	{name: "check", before: func(w *faultWorld) error { return errors.Join(w.batch(small, large), w.puts(10)) }, work: func(w *faultWorld) error {
		return w.fsck(0)
	}},
	{
		name: "check damage",
		before: func(w *faultWorld) error {
			return errors.Join(w.batch(small, large, storetest.Text(5, 9000)), w.damage(small))
		},
		work: func(w *faultWorld) error { return w.fsck(1) }, quarantines: true,
	},
}

var (
	small = storetest.Random(11, 5000)
	large = storetest.Random(12, 400_000)
)

// faultWorld is a store on a disk that fails, and what must be in it.
type faultWorld struct {
	t     *testing.T
	dir   string
	disk  disk.FS
	s     *cas.Local
	there map[cas.Digest][]byte
	// lies says that the disk returns wrong bytes: what is there may seem not to be.
	lies bool
	// never is content that is damaged, and may be missing.
	never map[cas.Digest]bool
	// sizes is that of the case.
	sizes bool
}

func newFaultWorld(t *testing.T, c *faultCase, dir string, fsys disk.FS) *faultWorld {
	w := &faultWorld{t: t, dir: dir, there: map[cas.Digest][]byte{}, never: map[cas.Digest]bool{}, sizes: c.sizes}
	w.open(fsys)
	return w
}

func (w *faultWorld) open(fsys disk.FS) {
	w.t.Helper()
	s, err := cas.OpenLocalOn(fsys, w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.sizes {
		s.SetSizes(150_000, 3)
	}
	w.disk, w.s = fsys, s
}

func (w *faultWorld) note(content []byte) {
	d := cas.Sum(content)
	w.there[d] = content
	delete(w.never, d)
}

func (w *faultWorld) put(content []byte) error { return w.putVersion(content, cas.Digest{}) }

func (w *faultWorld) putVersion(content []byte, of cas.Digest) error {
	d, n, err := w.s.Put(background, cas.VersionOf(of, bytes.NewReader(content)))
	if err != nil {
		return err
	}
	if d != cas.Sum(content) || n != int64(len(content)) {
		w.t.Errorf("Put = %s, %d", d, n)
	}
	w.note(content)
	return nil
}

// puts makes n packs more.
func (w *faultWorld) puts(n int) error {
	for i := range n {
		if err := w.put(storetest.Text(uint64(100*n+i), 300)); err != nil {
			return err
		}
	}
	return nil
}

func (w *faultWorld) batch(contents ...[]byte) error {
	b := w.s.Batch()
	defer b.Close()
	for _, content := range contents {
		if _, _, err := b.Put(background, bytes.NewReader(content)); err != nil {
			return err
		}
	}
	if err := b.Commit(background); err != nil {
		return err
	}
	for _, content := range contents {
		w.note(content)
	}
	return nil
}

// has relies on contents as one does who does not have their bytes.
func (w *faultWorld) has(contents ...[]byte) error {
	b := w.s.Batch()
	defer b.Close()
	for _, content := range contents {
		has, err := b.Has(background, cas.Sum(content))
		if err != nil {
			return err
		}
		if !has && w.lies {
			return nil
		}
		if !has {
			w.t.Errorf("what is there is said not to be")
		}
	}
	return b.Commit(background)
}

// read reads all that is there; what it gets is right.
func (w *faultWorld) read() error {
	for _, d := range slices.SortedFunc(maps.Keys(w.there), compareDigests) {
		b, err := readAll(w.s, d)
		if err != nil {
			if isMissing(err) || asCorrupt(err) != nil {
				w.t.Errorf("a disk that fails makes an object %v", err)
			}
			return err
		}
		if !bytes.Equal(b, w.there[d]) {
			w.t.Errorf("object %s comes back as other bytes", d)
		}
	}
	return nil
}

func compareDigests(a, b cas.Digest) int { return bytes.Compare(a[:], b[:]) }

// readDamaged reads what is damaged, which must not work.
func (w *faultWorld) readDamaged(content []byte) error {
	if _, there := w.there[cas.Sum(content)]; there {
		return nil // it was put again
	}
	b, err := readAll(w.s, cas.Sum(content))
	switch {
	case err == nil:
		if !bytes.Equal(b, content) {
			w.t.Errorf("damage is read as %d bytes", len(b))
		}
		return nil // it was put again, but not acknowledged
	case isMissing(err), asCorrupt(err) != nil && asCorrupt(err).Quarantine != "":
		return nil
	}
	return err
}

// drop lets go of contents: a collection may take them.
func (w *faultWorld) drop(contents ...[]byte) {
	for _, content := range contents {
		delete(w.there, cas.Sum(content))
	}
}

// objects lists all that is there.
func (w *faultWorld) objects(_ context.Context, each func(cas.Digest) error) error {
	for d := range w.there {
		if err := each(d); err != nil {
			return err
		}
	}
	return nil
}

func (w *faultWorld) collect(grace time.Duration) error {
	_, err := w.s.Collect(background, cas.CollectOptions{Live: w.objects, Grace: grace})
	return err
}

// fsck checks everything, and finds at most so much damage.
func (w *faultWorld) fsck(damaged int) error {
	found, err := w.s.Check(background, cas.CheckOptions{Objects: w.objects, Full: true})
	if err != nil {
		return err
	}
	if !w.lies && (len(found.Damaged) > damaged || len(found.Missing) > 0) {
		w.t.Errorf("Check finds %v, and %d missing", found.Damaged, len(found.Missing))
	}
	return errors.Join(found.Unreadable...)
}

// damage changes a byte of a content where it is stored, as it is.
func (w *faultWorld) damage(content []byte) error {
	d := cas.Sum(content)
	file, _, _, err := w.s.Place(d)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	at := bytes.Index(b, content)
	if at < 0 {
		return errors.New("the content is not stored as it is")
	}
	b[at+len(content)/2] ^= 1
	delete(w.there, d)
	w.never[d] = true
	w.s.Forget()
	return overwrite(file, b)
}

// age makes all packs older.
func (w *faultWorld) age(by time.Duration) error {
	packs, err := filepath.Glob(filepath.Join(w.dir, "packs", "*"))
	for _, name := range packs {
		err = errors.Join(err, os.Chtimes(name, time.Now().Add(-by), time.Now().Add(-by)))
	}
	return err
}

// check looks at the store with a disk that works: all that was acknowledged is
// there, all that is visible is whole, and nothing lies about.
func (w *faultWorld) check(c *faultCase, died bool) {
	w.t.Helper()
	w.open(disk.OS)
	for d, content := range w.there {
		if b, err := readAll(w.s, d); err != nil || !bytes.Equal(b, content) {
			w.t.Errorf("acknowledged content of %d bytes: %d bytes, %v", len(content), len(b), err)
		}
	}
	err := w.s.Walk(func(d cas.Digest, size int64) error {
		if w.never[d] {
			return nil
		}
		b, err := readAll(w.s, d)
		if isMissing(err) && c.collects && w.there[d] == nil {
			return nil
		}
		if err != nil || int64(len(b)) != size || cas.Sum(b) != d {
			w.t.Errorf("visible object %s of %d bytes: %d bytes, %v", d, size, len(b), err)
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
	if !c.quarantines {
		if err := w.fsck(0); err != nil {
			w.t.Error(err)
		}
	}
	for _, name := range listFiles(w.t, w.dir) {
		top, base, _ := strings.Cut(name, "/")
		switch {
		case name == "lock", name == "check" && strings.HasPrefix(c.name, "check"):
		case top == "packs" && strings.HasSuffix(base, ".pack"), top == "index" && strings.HasSuffix(base, ".index"):
		case top == "quarantine" && c.quarantines:
		case top == "tmp" && died: // without anonymous files
		default:
			w.t.Errorf("there is a stray %s", name)
		}
	}
}

// again does the work with a disk that works, and leaves nothing behind.
func (w *faultWorld) again(c *faultCase) {
	w.t.Helper()
	if err := c.work(w); err != nil {
		w.t.Errorf("again: %v", err)
	}
	strays, _ := filepath.Glob(filepath.Join(w.dir, "tmp", "*"))
	for _, name := range strays {
		if err := os.Chtimes(name, time.Now().Add(-48*time.Hour), time.Now().Add(-48*time.Hour)); err != nil {
			w.t.Error(err)
		}
	}
	if n, err := w.s.Sweep(); n != len(strays) || err != nil {
		w.t.Errorf("Sweep removes %d of %d strays, %v", n, len(strays), err)
	}
	w.check(c, false)
}

// memoryDir is a folder where syncing costs nothing, if there is one.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "kept-faults-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestFaults lets every operation of the disk fail during all of faultCases: once
// with the operations after it working, all from there on, and as the last thing
// that the process did.
func TestFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"fails once", "fails for good", "dies"} {
				eachFault(t, &c, mode, false)
			}
			eachFault(t, &c, "dies", true) // it is the dead that leave files with names
		})
	}
}

// eachFault does a case for every operation that can fail.
func eachFault(t *testing.T, c *faultCase, mode string, named bool) {
	fsys := disk.OS
	if named {
		fsys = disk.Named
	}
	top := memoryDir(t)
	failed := 0
	for n := 1; ; n += faultStep {
		dir := filepath.Join(top, strconv.Itoa(n), "store")
		w := newFaultWorld(t, c, dir, fsys)
		if c.before != nil {
			if err := c.before(w); err != nil {
				t.Fatal("before: ", err)
			}
		}
		rule := disktest.Nth(n, mode == "fails for good", nil)
		if mode == "dies" {
			rule = disktest.DieAt(n)
		}
		faulty := disktest.NewFaults(fsys, rule)
		w.open(faulty)
		err := c.work(w)
		hit := faulty.Hit()
		if hit == nil {
			if err != nil {
				t.Errorf("%s, named %v: without a fault: %v", mode, named, err)
			}
			break
		}
		failed++
		if mode == "dies" && err == nil && hit.Kind != disktest.Touch && !bestEffort(hit) {
			t.Errorf("named %v: the process died at %v, and the work is done", named, hit)
		}
		w.check(c, mode == "dies" && named)
		w.again(c)
		if t.Failed() {
			t.Fatalf("%s at %v (named %v), which gave: %v", mode, hit, named, err)
		}
		os.RemoveAll(filepath.Dir(dir))
	}
	t.Logf("%s, named %v: %d operations", mode, named, failed)
}

// bestEffort reports whether an operation serves an index, a cache, or only moves
// damage away: nobody has to be told when it fails.
func bestEffort(op *disktest.Op) bool {
	return strings.Contains(op.Name, "index") || filepath.Base(op.Name) == "check" || strings.Contains(op.Name, "quarantine") || op.Kind == disktest.NewTemp || op.Kind == disktest.Write || op.Kind == disktest.Sync || op.Kind == disktest.Mkdir || op.Kind == disktest.SyncDir
}

// TestPowerCuts cuts the power at every operation of faultCases that changes the
// disk, and after the last, with more or less of what was not synced gone.
func TestPowerCuts(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			top := memoryDir(t)
			cuts := 0
			for n := 1; ; n += faultStep {
				dir := filepath.Join(top, strconv.Itoa(n))
				if !powerCutAt(t, &c, dir, n) {
					break
				}
				cuts = n
				if t.Failed() {
					t.Fatalf("stopped at operation %d", n)
				}
				os.RemoveAll(dir)
			}
			t.Logf("%d operations", cuts)
		})
	}
}

// powerCutAt reports whether there was an nth operation.
func powerCutAt(t *testing.T, c *faultCase, dir string, n int) bool {
	store := filepath.Join(dir, "store")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The store's own folder is a name like any other.
	power, err := disktest.NewPower(disk.OS, dir, filepath.Join(filepath.Dir(dir), fmt.Sprint("own-", n)))
	if err != nil {
		t.Fatal(err)
	}
	w := newFaultWorld(t, c, store, power)
	if c.before != nil {
		if err := c.before(w); err != nil {
			t.Fatal("before: ", err)
		}
	}
	faulty := disktest.NewFaults(power, disktest.DieAt(n))
	w.open(faulty)
	if err := c.work(w); err == nil && len(power.Pending()) > 0 {
		for _, name := range power.Pending() {
			rel, _ := filepath.Rel(store, name)
			if top, _, _ := strings.Cut(rel, "/"); top == "packs" && faulty.Hit() == nil {
				t.Errorf("acknowledged, and the name of %s is not durable", rel)
			}
		}
	}
	if names := power.Unsynced(); len(names) > 0 {
		t.Errorf("published before they were synced: %v", names)
	}
	for i := range 4 {
		cut := filepath.Join(filepath.Dir(dir), fmt.Sprint("cut-", n))
		if err := power.Cut(rand.New(rand.NewPCG(uint64(n), uint64(i))), cut); err != nil {
			t.Fatal(err)
		}
		after := &faultWorld{t: t, dir: filepath.Join(cut, "store"), there: maps.Clone(w.there), never: maps.Clone(w.never), sizes: w.sizes}
		after.check(c, false)
		after.again(c)
		if t.Failed() {
			t.Fatalf("power cut %d at %v; not durable: %v", i, faulty.Hit(), power.Pending())
		}
		os.RemoveAll(cut)
	}
	return faulty.Hit() != nil
}

// A pack whose table the disk gives wrong, for as long as a collection takes, may
// have the manifest of what another pack has the chunks of.
func TestCollectBesideDamagedTable(t *testing.T) {
	w := newFaultWorld(t, &faultCase{}, filepath.Join(memoryDir(t), "store"), disk.OS)
	second := append(slices.Clone(large), "and more"...)
	if err := errors.Join(w.put(large), w.put(second), w.age(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.drop(large)
	faulty := disktest.NewFaults(disk.OS, nil)
	faulty.Spoil = func(name string, offset int64, p []byte) {
		if info, err := os.Stat(name); err == nil && info.Size() < 100_000 && offset == 0 && len(p) > 0 {
			p[0] ^= 1
		}
	}
	w.open(faulty)
	if done, err := w.s.Collect(background, cas.CollectOptions{Live: w.objects, Grace: 24 * time.Hour}); err != nil || len(done.Damaged) == 0 {
		t.Errorf("Collect = %+v, %v", done, err)
	}
	w.check(&faultCase{collects: true}, false)
}

// A disk that returns a wrong bit once: nobody gets it, and nothing that is right
// on the disk is lost for it.
func TestFlippedReads(t *testing.T) {
	for _, c := range faultCases {
		if c.quarantines {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			top := memoryDir(t)
			r := rand.New(rand.NewPCG(1, 1))
			for n := 1; ; n += faultStep {
				w := newFaultWorld(t, &c, filepath.Join(top, strconv.Itoa(n), "store"), disk.OS)
				if c.before != nil {
					if err := c.before(w); err != nil {
						t.Fatal(err)
					}
				}
				faulty := disktest.NewFaults(disk.OS, nil)
				reads := 0
				what := ""
				faulty.Spoil = func(name string, offset int64, p []byte) {
					if len(p) == 0 {
						return
					}
					if reads++; reads == n {
						bit := r.IntN(8 * len(p))
						p[bit/8] ^= 1 << (bit % 8)
						what = fmt.Sprintf("bit %d of %s at %d", bit, name, offset)
					}
				}
				w.open(faulty)
				err := c.work(&faultWorld{t: t, dir: w.dir, disk: faulty, s: w.s, lies: true, there: maps.Clone(w.there), never: maps.Clone(w.never)})
				if what == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				for d := range w.there {
					if b, err := readAll(w.s, d); err == nil && cas.Sum(b) != d {
						t.Errorf("other bytes without an error")
					}
				}
				lied := c
				lied.quarantines = true // of what only seemed to be damaged
				w.check(&lied, false)
				w.again(&lied)
				if t.Failed() {
					t.Fatalf("%s, which gave: %v", what, err)
				}
			}
		})
	}
}
