package cas_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// localStore is a Local that can damage its objects.
type localStore struct {
	*cas.Local
	dir string
}

func openLocal(t testing.TB, dir string) localStore {
	t.Helper()
	l, err := cas.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return localStore{l, dir}
}

// file returns the file of d.
func (s localStore) file(t testing.TB, d cas.Digest) string {
	t.Helper()
	name := filepath.Join(s.dir, "objects", d.Hex()[:2], d.Hex()[2:])
	if _, err := os.Stat(name); err == nil {
		return name
	}
	if _, err := os.Stat(name + ".zst"); err != nil {
		t.Fatalf("no file of %s: %v", d, err)
	}
	return name + ".zst"
}

// Corrupt implements storetest.Corrupter.
func (s localStore) Corrupt(d cas.Digest) error {
	names, err := filepath.Glob(filepath.Join(s.dir, "objects", d.Hex()[:2], d.Hex()[2:]+"*"))
	if err != nil || len(names) != 1 {
		return fmt.Errorf("files of %s: %v, %v", d, names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return overwrite(names[0], b)
}

// overwrite changes a file that nobody is meant to change.
func overwrite(name string, b []byte) error {
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

func mustPut(t testing.TB, s cas.Store, content []byte) cas.Digest {
	t.Helper()
	d, _, err := s.Put(background, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readAll(s cas.Store, d cas.Digest) ([]byte, error) {
	return cas.ReadAll(background, s, d, 1<<30)
}

func wantContent(t testing.TB, s cas.Store, content []byte) {
	t.Helper()
	if b, err := readAll(s, cas.Sum(content)); err != nil || !bytes.Equal(b, content) {
		t.Errorf("%d bytes come back as %d, %v", len(content), len(b), err)
	}
}

func isMissing(err error) bool {
	var e *cas.MissingError
	return errors.As(err, &e)
}

func asCorrupt(err error) *cas.CorruptError {
	var e *cas.CorruptError
	errors.As(err, &e)
	return e
}

// tree lists the files below dir, with slashes.
func listFiles(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

func TestLocal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cas.Store { return openLocal(t, t.TempDir()) })
}

// Where the file system has no anonymous files.
func TestLocalNamedTemps(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cas.Store {
		s := openLocal(t, t.TempDir())
		s.SetFault(nil, true)
		t.Cleanup(func() {
			if left := listFiles(t, s.TempDir()); left != nil {
				t.Errorf("temporary files left: %v", left)
			}
		})
		return s
	})
}

func TestLocalCreatesNothingBeforePut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := openLocal(t, dir)
	d := cas.Sum([]byte("x"))
	if _, err := s.Stat(t.Context(), d); !isMissing(err) {
		t.Errorf("Stat = %v", err)
	}
	if _, err := s.Open(t.Context(), d); !isMissing(err) {
		t.Errorf("Open = %v", err)
	}
	if found, err := s.Find("abcd"); found != nil || err != nil {
		t.Errorf("Find = %v, %v", found, err)
	}
	if err := s.Walk(t.Context(), func(cas.Digest, int64) error { return errors.New("called") }); err != nil {
		t.Errorf("Walk = %v", err)
	}
	if n, err := s.Sweep(); n != 0 || err != nil {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	mustPut(t, s, []byte("x"))
	wantContent(t, s, []byte("x"))
}

func TestOpenLocalRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "store")} {
		if _, err := cas.OpenLocal(dir); err == nil {
			t.Errorf("OpenLocal(%q) works", dir)
		}
	}
}

func TestLocalLayout(t *testing.T) {
	s := openLocal(t, t.TempDir())
	raw, text := storetest.Random(1, 10_000), storetest.Text(1, 10_000)
	r, z := mustPut(t, s, raw).Hex(), mustPut(t, s, text).Hex()
	want := []string{"objects/" + r[:2] + "/" + r[2:], "objects/" + z[:2] + "/" + z[2:] + ".zst"}
	slices.Sort(want)
	if got := listFiles(t, s.dir); !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v", got, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]fs.FileMode{"objects": 0o700, "objects/" + r[:2]: 0o700, "tmp": 0o700, "objects/" + r[:2] + "/" + r[2:]: 0o444} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil || info.Mode().Perm()&^want != 0 {
			t.Errorf("mode of %s is %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

// A compressed object is what docs/spec/objects.md says, for any zstd.
func TestCompressedFileIsZstd(t *testing.T) {
	for _, size := range []int{5000, 5 << 20} {
		s := openLocal(t, t.TempDir())
		content := storetest.Text(1, size)
		b, err := os.ReadFile(s.file(t, mustPut(t, s, content)))
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint32(b); got != 0x184D2A50 {
			t.Errorf("magic = %x", got)
		}
		if plain, stored := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]); plain != uint64(size) || stored != uint64(len(b)) {
			t.Errorf("header says %d and %d, want %d and %d", plain, stored, size, len(b))
		}
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderMaxWindow(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, content) {
			t.Errorf("zstd makes %d bytes of it, %v", len(got), err)
		}
	}
}

// What is compressed, by content.
func TestLocalCompresses(t *testing.T) {
	text := func(n int) []byte { return storetest.Text(1, n) }
	random := func(n int) []byte { return storetest.Random(1, n) }
	for name, c := range map[string]struct {
		content    []byte
		compressed bool
	}{
		"small text":                        {text(4095), false}, // it takes one block either way
		"text":                              {text(4096), true},
		"more text":                         {text(3 << 20), true},
		"random":                            {random(100_000), false},
		"more random":                       {random(3 << 20), false},
		"text header, random rest":          {append(text(400_000), random(8<<20)...), true},  // saves 3 %
		"short text header, random rest":    {append(text(200_000), random(8<<20)...), false}, // 1.6 %
		"random header, text rest, in head": {append(random(300_000), text(700_000)...), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir())
			file := s.file(t, mustPut(t, s, c.content))
			if got := strings.HasSuffix(file, ".zst"); got != c.compressed {
				t.Errorf("compressed: %v, want %v", got, c.compressed)
			}
			wantContent(t, s, c.content)
		})
	}
}

// A sample of the head says that a table compresses; of the file, that most of
// it does not. And the other way round.
func TestLocalSamplesFiles(t *testing.T) {
	for name, c := range map[string]struct {
		content    []byte
		compressed bool
	}{
		"random file with a text head": {append(storetest.Text(1, 30_000), storetest.Random(1, 4<<20)...), false},
		"text file with a random head": {append(storetest.Random(1, 1<<20), storetest.Text(1, 4<<20)...), true},
	} {
		t.Run(name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "data")
			if err := os.WriteFile(name, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := openLocal(t, t.TempDir())
			d, _, err := s.Put(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.HasSuffix(s.file(t, d), ".zst"); got != c.compressed {
				t.Errorf("compressed: %v, want %v", got, c.compressed)
			}
			wantContent(t, s, c.content)
		})
	}
}

// Putting what is there must not write: a full disk does not keep anybody from
// recording what is recorded already.
func TestPutOfPresentContentWritesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data")
	large := storetest.Text(1, 5<<20)
	if err := os.WriteFile(name, large, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openLocal(t, t.TempDir())
	mustPut(t, s, []byte("small"))
	mustPut(t, s, large)
	before := listFiles(t, s.dir)
	s.SetFault(func(op string) error {
		if op == "sync folder" { // another process's name may not be durable yet
			return nil
		}
		return fmt.Errorf("%s happened", op)
	}, false)
	mustPut(t, s, []byte("small"))
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d, n, err := s.Put(t.Context(), f); err != nil || d != cas.Sum(large) || n != int64(len(large)) {
		t.Errorf("Put of a file that is there = %s, %d, %v", d, n, err)
	}
	if after := listFiles(t, s.dir); !slices.Equal(before, after) {
		t.Errorf("files were %v and are %v", before, after)
	}
}

// The order of the write protocol, and that nothing is published unsynced.
func TestWriteProtocol(t *testing.T) {
	for name, content := range map[string][]byte{
		"small": []byte("small"), "small text": storetest.Text(1, 10_000),
		"stream": storetest.Random(1, 2<<20), "text stream": storetest.Text(1, 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir())
			mustPut(t, s, content[:3]) // makes folders
			var ops []string
			s.SetFault(func(op string) error {
				if len(ops) == 0 || ops[len(ops)-1] != op {
					ops = append(ops, op)
				}
				return nil
			}, false)
			mustPut(t, s, content)
			got := strings.Join(slices.DeleteFunc(ops, func(op string) bool { return op == "write at" }), ", ")
			if want := "temp, write, read back, sync, mkdir, sync folder, publish, sync folder"; got != want {
				t.Errorf("operations:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The medium changes bytes between write and read: nothing is published.
func TestPutVerifiesWhatItWrote(t *testing.T) {
	for _, content := range [][]byte{[]byte("x"), storetest.Text(1, 10_000), storetest.Random(1, 3<<20), storetest.Text(1, 3<<20)} {
		s := openLocal(t, t.TempDir())
		s.SetLyingDisk()
		if _, _, err := s.Put(t.Context(), bytes.NewReader(content)); asCorrupt(err) == nil {
			t.Errorf("Put of %d bytes = %v; want a CorruptError", len(content), err)
		}
		if left := listFiles(t, s.dir); left != nil {
			t.Errorf("files left: %v", left)
		}
	}
}

var errInjected = errors.New("injected")

// Every operation that changes the disk fails once, and then all from there on
// as after a crash: what is visible is whole, and the next Put succeeds.
func TestPutFailsAtEveryOperation(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty":         nil,
		"small":         []byte("small"),
		"small text":    storetest.Text(1, 10_000),
		"stream":        storetest.Random(1, 1200_000),
		"text stream":   storetest.Text(1, 1200_000),
		"misjudged":     append(storetest.Text(1, 10_000), append(storetest.Random(1, 1200_000), storetest.Text(1, 10_000)...)...),
		"damaged there": storetest.Random(7, 5000),
	} {
		for _, named := range []bool{false, true} {
			for _, sticky := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, named %v, sticky %v", name, named, sticky), func(t *testing.T) {
					t.Parallel() // most of it is waiting for the disk
					steps := 0
					for n := 1; ; n++ {
						if !putFailsAt(t, content, name == "damaged there", n, named, sticky) {
							break
						}
						steps = n
					}
					t.Logf("%d operations failed", steps)
					if steps < 6 {
						t.Errorf("only %d operations failed", steps)
					}
				})
			}
		}
	}
}

// putFailsAt reports whether there was an nth operation.
func putFailsAt(t *testing.T, content []byte, damaged bool, nth int, named, sticky bool) bool {
	t.Helper()
	s := openLocal(t, filepath.Join(t.TempDir(), "store"))
	old := []byte("there before")
	if damaged { // only then: a store without its folders is a case as well
		mustPut(t, s, old)
		file := s.file(t, mustPut(t, s, content))
		if err := overwrite(file, content[:100]); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	s.SetFault(func(op string) error {
		if count++; count == nth || sticky && count > nth {
			return fmt.Errorf("%s: %w", op, errInjected)
		}
		return nil
	}, named)
	d, _, err := s.Put(t.Context(), bytes.NewReader(content))
	if count < nth {
		if err != nil {
			t.Fatalf("Put without a fault: %v", err)
		}
		return false
	}
	if err == nil { // what failed did not matter, such as moving a damaged file
		wantContent(t, s, content)
	} else if !errors.Is(err, errInjected) && !(damaged && errors.Is(err, fs.ErrExist)) {
		t.Fatalf("operation %d: Put = %v", nth, err)
	} else if !d.IsZero() {
		t.Fatalf("operation %d: Put fails and returns %s", nth, d)
	}
	after := openLocal(t, s.dir)
	visibleIsWhole(t, after, damaged && err != nil)
	if damaged {
		wantContent(t, after, old)
	}
	if left := listFiles(t, after.TempDir()); left != nil {
		t.Fatalf("operation %d: temporary files left: %v", nth, left)
	}
	for _, retry := range []localStore{after, s} {
		retry.SetFault(nil, named)
		if _, _, err := retry.Put(t.Context(), bytes.NewReader(content)); err != nil {
			t.Fatalf("operation %d: Put again: %v", nth, err)
		}
		wantContent(t, retry, content)
	}
	return true
}

// visibleIsWhole reads everything that a store shows.
func visibleIsWhole(t testing.TB, s localStore, mayBeCorrupt bool) {
	t.Helper()
	err := s.Walk(background, func(d cas.Digest, size int64) error {
		b, err := readAll(s, d)
		if err != nil && mayBeCorrupt && asCorrupt(err) != nil {
			return nil
		}
		if err == nil && int64(len(b)) != size {
			err = fmt.Errorf("Walk says %d bytes, it has %d", size, len(b))
		}
		return err
	})
	if err != nil {
		t.Errorf("the store shows what is not whole: %v", err)
	}
}

// Somebody cleans up while we work.
func TestPutAfterFoldersWereRemoved(t *testing.T) {
	s := openLocal(t, t.TempDir())
	content := storetest.Random(1, 2<<20)
	mustPut(t, s, content)
	for _, dir := range []string{"objects", "tmp", "."} {
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil && dir != "." {
			t.Fatal(err)
		}
		mustPut(t, s, content)
		wantContent(t, s, content)
	}
}

// damage is one way to spoil a file.
type damage struct {
	name string
	file []byte
}

func damages(file []byte, bits []int) []damage {
	list := []damage{
		{"emptied", nil},
		{"extended by a zero", append(slices.Clone(file), 0)},
		{"extended by itself", append(slices.Clone(file), file...)},
		{"zeroed", make([]byte, len(file))},
	}
	for n := 1; n < len(file); n += 1 + len(file)/300 {
		list = append(list, damage{fmt.Sprintf("cut to %d", n), file[:n]})
	}
	for _, bit := range bits {
		b := slices.Clone(file)
		b[bit/8] ^= 1 << (bit % 8)
		list = append(list, damage{fmt.Sprintf("bit %d", bit), b})
	}
	return slices.DeleteFunc(list, func(d damage) bool { return bytes.Equal(d.file, file) })
}

// TestDamageIsDetected spoils object files in every way we can think of.
// However it was done, the right content or an error comes out, and never a
// wrong byte before the end.
func TestDamageIsDetected(t *testing.T) {
	everyBit := func(n int) (bits []int) {
		for i := range 8 * n {
			bits = append(bits, i)
		}
		return bits
	}
	someBits := func(n int) (bits []int) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			bits = append(bits, r.IntN(8*n))
		}
		return bits
	}
	for name, c := range map[string]struct {
		content []byte
		bits    func(int) []int
	}{
		"raw":        {storetest.Random(1, 300), everyBit},
		"zst":        {[]byte(strings.Repeat("every bit of a small file of each kind. ", 150)), everyBit},
		"large raw":  {storetest.Random(1, 1200_000), someBits},
		"large zst":  {storetest.Text(1, 1200_000), someBits},
		"single raw": {[]byte{0}, everyBit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openLocal(t, t.TempDir())
			d := mustPut(t, s, c.content)
			name := s.file(t, d)
			if strings.HasSuffix(name, ".zst") != strings.HasSuffix(t.Name(), "zst") {
				t.Fatalf("the object is %s", name)
			}
			whole, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			detected := 0
			list := damages(whole, c.bits(len(whole)))
			for _, damage := range list {
				os.Remove(name)
				if err := os.WriteFile(name, damage.file, 0o600); err != nil {
					t.Fatal(err)
				}
				b, err := readAll(s, d)
				if err == nil {
					if !bytes.Equal(b, c.content) {
						t.Fatalf("%s: other content without an error", damage.name)
					}
					continue
				}
				detected++
				e := asCorrupt(err)
				if e == nil || e.Digest != d {
					t.Fatalf("%s: %v; want a CorruptError", damage.name, err)
				}
				if kept, err := os.ReadFile(e.Quarantine); err != nil || !bytes.Equal(kept, damage.file) {
					t.Fatalf("%s: quarantine %q: %v", damage.name, e.Quarantine, err)
				}
				if _, err := s.Stat(t.Context(), d); !isMissing(err) {
					t.Fatalf("%s: after quarantine Stat = %v", damage.name, err)
				}
			}
			// Only bits that zstd ignores may go unnoticed.
			if harmless := len(list) - detected; harmless > 0 && (!strings.HasSuffix(name, ".zst") || harmless > 8) {
				t.Errorf("%d of %d damages not detected", harmless, len(list))
			}
			mustPut(t, s, c.content)
			wantContent(t, s, c.content)
		})
	}
}

// The files of two objects change places: each is a good file, of another object.
func TestSwappedObjectsAreDetected(t *testing.T) {
	for name, pair := range map[string][2][]byte{
		"raw": {storetest.Random(1, 5000), storetest.Random(2, 5000)},
		"zst": {storetest.Text(1, 5000), storetest.Text(2, 5000)},
	} {
		t.Run(name, func(t *testing.T) {
			s := openLocal(t, t.TempDir())
			a, b := mustPut(t, s, pair[0]), mustPut(t, s, pair[1])
			fileA, fileB := s.file(t, a), s.file(t, b)
			for _, step := range [][2]string{{fileA, "x"}, {fileB, fileA}, {"x", fileB}} {
				for i := range step {
					if step[i] == "x" {
						step[i] = filepath.Join(s.dir, "x")
					}
				}
				if err := os.Rename(step[0], step[1]); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range []cas.Digest{a, b} {
				if _, err := readAll(s, d); asCorrupt(err) == nil {
					t.Errorf("a swapped object gives %v", err)
				}
			}
		})
	}
}

// Stat sees at once what it can see: a compressed file that a crash cut short.
func TestStatSeesCutFile(t *testing.T) {
	s := openLocal(t, t.TempDir())
	content := storetest.Text(1, 100_000)
	for _, size := range []int64{0, 10, 24, 1000} {
		name := s.file(t, mustPut(t, s, content))
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, size); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(t.Context(), cas.Sum(content)); asCorrupt(err) == nil {
			t.Errorf("Stat of a file cut to %d bytes = %v", size, err)
		}
	}
}

// Put mends what it finds damaged, without being told.
func TestPutReplacesWhatHasAnotherSize(t *testing.T) {
	for _, content := range [][]byte{storetest.Random(1, 5000), storetest.Text(1, 5000), storetest.Random(1, 2<<20)} {
		for _, size := range []int64{0, 4000} {
			s := openLocal(t, t.TempDir())
			name := s.file(t, mustPut(t, s, content))
			os.Chmod(name, 0o600)
			if err := os.Truncate(name, size); err != nil {
				t.Fatal(err)
			}
			mustPut(t, s, content)
			wantContent(t, s, content)
		}
	}
}

// A folder where an object should be is damage like any other.
func TestFolderInPlaceOfObject(t *testing.T) {
	s := openLocal(t, t.TempDir())
	content := storetest.Random(1, 5000)
	name := s.file(t, mustPut(t, s, content))
	os.Remove(name)
	if err := os.MkdirAll(filepath.Join(name, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(s, cas.Sum(content)); asCorrupt(err) == nil {
		t.Errorf("a folder reads as %v", err)
	}
	mustPut(t, s, content)
	wantContent(t, s, content)
}

// Between detection and quarantine somebody stored the object again.
func TestQuarantineLeavesAGoodObject(t *testing.T) {
	s := openLocal(t, t.TempDir())
	content := storetest.Random(1, 300_000)
	d := mustPut(t, s, content)
	name := s.file(t, d)
	bad := slices.Clone(content)
	bad[200_000] ^= 1
	os.Remove(name)
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), d) // the bad one
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Rename(name, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Skip(err) // Windows
	}
	mustPut(t, s, content)
	_, err = io.Copy(io.Discard, r)
	if e := asCorrupt(err); e == nil || e.Quarantine != "" {
		t.Errorf("the bad file reads as %v", err)
	}
	wantContent(t, s, content)

	// And once more, but it is stored again just before the rename.
	other := openLocal(t, s.dir)
	os.Remove(name)
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	s.SetFault(func(op string) error {
		if op == "rename" {
			os.Remove(name)
			mustPut(t, other, content)
		}
		return nil
	}, false)
	if _, err := readAll(s, d); asCorrupt(err) == nil {
		t.Errorf("the bad file reads as %v", err)
	}
	wantContent(t, other, content)
}

// A file of the store that decompresses to more than it says.
func TestBombInTheStore(t *testing.T) {
	const huge = 1 << 30
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for range huge >> 20 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	file := binary.LittleEndian.AppendUint32(nil, 0x184D2A50)
	file = binary.LittleEndian.AppendUint32(file, 16)
	file = binary.LittleEndian.AppendUint64(file, 1000)
	file = binary.LittleEndian.AppendUint64(file, uint64(24+b.Len()))
	file = append(file, b.Bytes()...)

	s := openLocal(t, t.TempDir())
	d := cas.Sum(make([]byte, 1000))
	name := filepath.Join(s.dir, "objects", d.Hex()[:2], d.Hex()[2:]+".zst")
	os.MkdirAll(filepath.Dir(name), 0o700)
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, r)
	runtime.ReadMemStats(&after)
	if asCorrupt(err) == nil || n > 1000 {
		t.Errorf("a bomb of %d bytes reads as %d bytes, %v", huge, n, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("the bomb made us allocate %d MiB", got>>20)
	}
}

// A frame that wants a window of half a gigabyte is refused, not served.
func TestHugeWindowIsRefused(t *testing.T) {
	content := storetest.Text(1, 9<<20)
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(zstd.MaxWindowSize))
	if err != nil {
		t.Fatal(err)
	}
	z.Write(content[:1])
	z.Flush() // so that the size is not in the frame
	z.Write(content[1:])
	z.Close()
	file := binary.LittleEndian.AppendUint32(nil, 0x184D2A50)
	file = binary.LittleEndian.AppendUint32(file, 16)
	file = binary.LittleEndian.AppendUint64(file, uint64(len(content)))
	file = binary.LittleEndian.AppendUint64(file, uint64(24+b.Len()))
	file = append(file, b.Bytes()...)
	s := openLocal(t, t.TempDir())
	d := cas.Sum(content)
	name := filepath.Join(s.dir, "objects", d.Hex()[:2], d.Hex()[2:]+".zst")
	os.MkdirAll(filepath.Dir(name), 0o700)
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(s, d); asCorrupt(err) == nil {
		t.Errorf("a frame with a huge window reads as %v", err)
	}
}

func TestLocalMemoryIsBounded(t *testing.T) {
	s := openLocal(t, t.TempDir())
	mustPut(t, s, storetest.Text(1, 2<<20)) // fills pools
	for _, compressible := range []bool{false, true} {
		var r io.Reader = rand.NewChaCha8([32]byte{1})
		if compressible {
			r = zeroReader{}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, _, err := s.Put(t.Context(), io.LimitReader(r, 64<<20))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := s.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, stream); err != nil {
			t.Fatal(err)
		}
		stream.Close()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Errorf("64 MiB in and out allocate %d MiB", got>>20)
		}
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFindAndWalk(t *testing.T) {
	s := openLocal(t, t.TempDir())
	want := map[cas.Digest]int64{}
	var list []cas.Digest
	for i := range 300 {
		content := storetest.Text(uint64(i), 20*i)
		d := mustPut(t, s, content)
		want[d] = int64(len(content))
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b cas.Digest) int { return bytes.Compare(a[:], b[:]) })
	// What does not belong there is not an object.
	dir := filepath.Dir(s.file(t, list[0]))
	for _, name := range []string{"x", strings.Repeat("g", 62), strings.Repeat("A", 62), list[0].Hex()[2:] + ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// There as it is and compressed is there once.
	for _, d := range list {
		if file := s.file(t, d); strings.HasSuffix(file, ".zst") {
			b, err := readAll(s, d)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(strings.TrimSuffix(file, ".zst"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	var walked []cas.Digest
	err := s.Walk(t.Context(), func(d cas.Digest, size int64) error {
		walked = append(walked, d)
		if size != want[d] {
			t.Errorf("Walk says %s has %d bytes, want %d", d, size, want[d])
		}
		return nil
	})
	if err != nil || !slices.Equal(walked, list) {
		t.Errorf("Walk gives %d objects, want %d; %v", len(walked), len(list), err)
	}
	for _, d := range list {
		for _, n := range []int{4, 5, 10, 63, 64} {
			for _, prefix := range []string{"", cas.Prefix} {
				found, err := s.Find(prefix + d.Hex()[:n])
				if err != nil || !slices.Contains(found, d) || n > 10 && len(found) != 1 {
					t.Fatalf("Find of %d digits = %v, %v", n, found, err)
				}
			}
		}
	}
	if found, err := s.Find(strings.ToUpper(list[0].Hex()[:12])); len(found) != 1 || err != nil {
		t.Errorf("Find in upper case = %v, %v", found, err)
	}
	if found, err := s.Find("00000000"); len(found) != 0 || err != nil {
		t.Errorf("Find of nothing = %v, %v", found, err)
	}
	for _, prefix := range []string{"", "abc", "blake3:abc", "abcg", "../..", "ab/cd", strings.Repeat("a", 65), "sha256:abcd"} {
		if _, err := s.Find(prefix); err == nil {
			t.Errorf("Find(%q) works", prefix)
		}
	}
	stop := errors.New("stop")
	if err := s.Walk(t.Context(), func(cas.Digest, int64) error { return stop }); err != stop {
		t.Errorf("Walk = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Walk(ctx, func(cas.Digest, int64) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Walk = %v", err)
	}
}

func TestWalkShowsDamage(t *testing.T) {
	s := openLocal(t, t.TempDir())
	name := s.file(t, mustPut(t, s, storetest.Text(1, 10_000)))
	if err := overwrite(name, []byte("short")); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := s.Walk(t.Context(), func(_ cas.Digest, size int64) error {
		if calls++; size != -1 {
			t.Errorf("size = %d", size)
		}
		return nil
	})
	if calls != 1 || err != nil {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestSweep(t *testing.T) {
	s := openLocal(t, t.TempDir())
	mustPut(t, s, []byte("x"))
	old := time.Now().Add(-cas.StrayAge - time.Minute)
	for name, age := range map[string]time.Time{
		"tmp-old": old, "tmp-old2": old, "tmp-young": time.Now().Add(-cas.StrayAge + time.Hour), "mine": old,
	} {
		file := filepath.Join(s.TempDir(), name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, age, age); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(); n != 2 || err != nil {
		t.Errorf("Sweep = %d, %v; want 2", n, err)
	}
	if got := listFiles(t, s.TempDir()); !slices.Equal(got, []string{"mine", "tmp-young"}) {
		t.Errorf("left: %v", got)
	}
	wantContent(t, s, []byte("x"))
}

func benchmarkPut(b *testing.B, make func(seed uint64, size int) []byte, size int) {
	s := openLocal(b, b.TempDir())
	content := make(1, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.LittleEndian.PutUint64(content, i) // new content every time
		mustPut(b, s, content)
	}
}

func BenchmarkPutRandom64M(b *testing.B) { benchmarkPut(b, storetest.Random, 64<<20) }
func BenchmarkPutText64M(b *testing.B)   { benchmarkPut(b, storetest.Text, 64<<20) }
func BenchmarkPutRandom4K(b *testing.B)  { benchmarkPut(b, storetest.Random, 4<<10) }
func BenchmarkPutText20K(b *testing.B)   { benchmarkPut(b, storetest.Text, 20<<10) }

func BenchmarkPutPresent20K(b *testing.B) {
	s := openLocal(b, b.TempDir())
	content := storetest.Text(1, 20<<10)
	for b.Loop() {
		mustPut(b, s, content)
	}
}

func benchmarkOpen(b *testing.B, content []byte) {
	s := openLocal(b, b.TempDir())
	d := mustPut(b, s, content)
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Open(background, d)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkOpenRandom64M(b *testing.B) { benchmarkOpen(b, storetest.Random(1, 64<<20)) }
func BenchmarkOpenText64M(b *testing.B)   { benchmarkOpen(b, storetest.Text(1, 64<<20)) }
func BenchmarkOpenRandom4K(b *testing.B)  { benchmarkOpen(b, storetest.Random(1, 4<<10)) }
