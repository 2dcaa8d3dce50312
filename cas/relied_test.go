package cas_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
	"github.com/kept-dev/kept/cas/storetest"
)

// spoil changes a byte of a content in the first of these files that has it as it is.
func spoil(t *testing.T, content []byte, files ...string) {
	t.Helper()
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, content); at >= 0 {
			b[at+len(content)/2] ^= 1
			if err := overwrite(name, b); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the content is not stored as it is")
}

// Two packs have a content, and one of them is to go. If it is the other one
// that is damaged, in the way that only reading shows, the content is copied.
func TestCollectReadsWhatStays(t *testing.T) {
	for _, c := range []struct {
		name    string
		damaged string // which copy
		copied  bool
	}{{"none", "", false}, {"the one that stays", "stays", true}, {"the one that goes", "goes", false}} {
		for _, seed := range []uint64{1, 100, 200, 300} { // which pack is asked first is a matter of chance
			t.Run(fmt.Sprint(c.name, seed), func(t *testing.T) {
				dir := memoryDir(t)
				s := openLocal(t, dir)
				both := noise(seed, 3000)
				var files []string
				var kept cas.Digest
				batches := []cas.Batch{s.Batch(), s.Batch()} // at the same time: neither finds what the other has
				for i, b := range batches {
					for _, content := range [][]byte{both, noise(seed+uint64(i)+1, 9000)} {
						d, err := b.PutBytes(background, content)
						if err != nil {
							t.Fatal(err)
						}
						kept = d
					}
				}
				for _, b := range batches {
					if err := b.Commit(background); err != nil {
						t.Fatal(err)
					}
					b.Close()
					for _, name := range packsOf(t, dir) {
						if file := filepath.Join(dir, "packs", name); !slices.Contains(files, file) {
							files = append(files, file)
						}
					}
				}
				if len(files) != 2 {
					t.Fatalf("packs: %v", files)
				}
				switch c.damaged { // the first has what nobody needs
				case "goes":
					spoil(t, both, files[0])
				case "stays":
					spoil(t, both, files[1])
				}
				age(t, dir, 30*day)
				s = openLocal(t, dir)
				done := collect(t, s.Local, cas.CollectOptions{Live: objects(cas.Sum(both), kept), Grace: day})
				if (len(done.Damaged) > 0) != c.copied {
					t.Errorf("told of damage: %v", done.Damaged)
				}
				if left := packsOf(t, dir); len(left) != len(files)-1 && !c.copied {
					t.Errorf("packs left: %v of %v", left, files)
				}
				s = openLocal(t, dir)
				if c.damaged == "stays" { // the damage is found, and what it was is there
					_, _ = readAll(s, kept)
				}
				wantContent(t, s, both)
			})
		}
	}
}

// What a batch was told is there is found damaged by somebody else, and goes to
// quarantine before the batch is done: no lock may name it.
func TestCommitAfterSalvage(t *testing.T) {
	neighbour := noise(2, 2000)
	for name, content := range map[string][]byte{"a blob": noise(1, 5000), "chunks": noise(3, 600_000)} {
		for how, use := range map[string]func(b cas.Batch) error{
			"put": func(b cas.Batch) error {
				_, _, err := b.Put(background, bytes.NewReader(content))
				return err
			},
			"has": func(b cas.Batch) error {
				there, err := b.Has(background, cas.Sum(content))
				if err == nil && !there {
					err = fmt.Errorf("it is not there")
				}
				return err
			},
			"has its neighbour": func(b cas.Batch) error {
				_, err := b.Has(background, cas.Sum(neighbour))
				return err
			},
		} {
			t.Run(name+" by "+how, func(t *testing.T) {
				dir := memoryDir(t)
				put(t, openLocal(t, dir), content, neighbour)
				spoil(t, content[len(content)-1000:], filepath.Join(dir, "packs", packsOf(t, dir)[0]))
				s := openLocal(t, dir)
				b := s.Batch()
				defer b.Close()
				if err := use(b); err != nil {
					t.Fatal(err)
				}
				if _, err := readAll(openLocal(t, dir), cas.Sum(content)); asCorrupt(err) == nil {
					t.Fatalf("somebody else reads it: %v", err)
				}
				err := b.Commit(background)
				if how == "has its neighbour" {
					if err != nil {
						t.Errorf("Commit = %v", err)
					}
					wantContent(t, s, neighbour)
					return
				}
				if !isMissing(err) || !strings.Contains(err.Error(), "do it again") {
					t.Errorf("Commit = %v", err)
				}
				put(t, s, content)
				wantContent(t, s, content)
			})
		}
	}
}

// Two processes begin on an empty store. The one that made its folders has not
// come to syncing them when the other one says that its content is kept.
func TestFoldersOfOthersAreSynced(t *testing.T) {
	for _, made := range []string{"store", "store/packs"} {
		top := memoryDir(t)
		power, err := disktest.NewPower(disk.OS, filepath.Join(top, "all"), filepath.Join(top, "own"))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"", "store", "store/tmp", "store/packs"} {
			fsys := disk.OS
			if dir != "" {
				fsys = power
			}
			if err := fsys.Mkdir(filepath.Join(top, "all", dir)); err != nil {
				t.Fatal(err)
			}
			if dir == made {
				break
			}
		}
		s, err := cas.OpenLocalOn(power, filepath.Join(top, "all", "store"))
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, storetest.Text(1, 500))
		for _, name := range power.Pending() {
			if rel, _ := filepath.Rel(filepath.Join(top, "all"), name); !strings.HasPrefix(rel, "store/tmp") {
				t.Errorf("somebody made %s: the content is said to be kept, and the name of %s is not durable", made, rel)
			}
		}
	}
}

// forgetful is a disk on which no name becomes durable.
type forgetful struct{ disk.FS }

func (forgetful) SyncDir(string) error { return nil }

// A pack that another process has published, and not synced the name of, is as
// good as any to read from. It is no reason to remove another before it is.
func TestCollectSyncsWhatItReliesOn(t *testing.T) {
	for seed := range uint64(4) {
		top := memoryDir(t)
		all := filepath.Join(top, "all")
		if err := os.Mkdir(all, 0o700); err != nil {
			t.Fatal(err)
		}
		power, err := disktest.NewPower(disk.OS, all, filepath.Join(top, "own"))
		if err != nil {
			t.Fatal(err)
		}
		open := func(fsys disk.FS) *cas.Local {
			s, err := cas.OpenLocalOn(fsys, filepath.Join(all, "store"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		both := noise(100*seed, 3000)
		killed := open(forgetful{power}).Batch()
		defer killed.Close()
		for _, content := range [][]byte{both, noise(100*seed+1, 500)} {
			if _, err := killed.PutBytes(background, content); err != nil {
				t.Fatal(err)
			}
		}
		put(t, open(power), both, noise(100*seed+2, 9000))
		age(t, filepath.Join(all, "store"), 30*day)
		if err := killed.Commit(background); err != nil {
			t.Fatal(err)
		}
		killed.Close()
		// Each removal may be durable at once, and the power may go right after it.
		died := disktest.NewFaults(power, disktest.Nth(1, true, func(op disktest.Op) bool { return removed(op, all) }))
		_, _ = open(died).Collect(background, cas.CollectOptions{Live: objects(cas.Sum(both)), Grace: day})
		for i := range uint64(8) {
			cut := filepath.Join(top, fmt.Sprint("cut", i))
			if err := power.Cut(rand.New(rand.NewPCG(seed, i)), cut); err != nil {
				t.Fatal(err)
			}
			s, err := cas.OpenLocal(filepath.Join(cut, "store"))
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, localStore{Local: s}, both)
		}
	}
}

// removed reports whether a pack has been removed before this operation.
func removed(_ disktest.Op, dir string) bool {
	packs, _ := filepath.Glob(filepath.Join(dir, "store/packs/*"))
	return len(packs) == 1
}

// What a collection reads elsewhere is not a reason to keep packs for ever: one
// that was killed after its copies were published left everything twice.
func TestCollectAfterAKilledOne(t *testing.T) {
	dir := memoryDir(t)
	s := openLocal(t, dir)
	live, dead := noise(1, 300_000), noise(2, 300_000)
	put(t, s, live, storetest.Text(1, 9000), dead)
	age(t, dir, 30*day)
	before := packsOf(t, dir)
	saved, err := os.ReadFile(filepath.Join(dir, "packs", before[0]))
	if err != nil {
		t.Fatal(err)
	}
	o := cas.CollectOptions{Live: objects(cas.Sum(live), cas.Sum(storetest.Text(1, 9000))), Grace: day}
	collect(t, s.Local, o)
	if err := os.WriteFile(filepath.Join(dir, "packs", before[0]), saved, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "packs", before[0]), time.Time{}, time.Now().Add(-30*day)); err != nil {
		t.Fatal(err)
	}
	s = openLocal(t, dir)
	collect(t, s.Local, o)
	if left := packsOf(t, dir); len(left) != 1 || left[0] == before[0] {
		t.Errorf("packs left: %v; want all but %v", left, before)
	}
	wantContent(t, s, live)
}
