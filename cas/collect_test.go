package cas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
)

// objects makes cas.Objects of digests.
func objects(list ...cas.Digest) cas.Objects {
	return func(_ context.Context, each func(cas.Digest) error) error {
		for _, d := range list {
			if err := each(d); err != nil {
				return err
			}
		}
		return nil
	}
}

// age makes all packs of a store older.
func age(t testing.TB, dir string, by time.Duration) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-by)
	for _, name := range packs {
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// put keeps contents in one pack, or a few.
func put(t testing.TB, s cas.Store, contents ...[]byte) []cas.Digest {
	t.Helper()
	b := s.Batch()
	defer b.Close()
	var digests []cas.Digest
	for _, content := range contents {
		d, _, err := b.Put(background, bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	if err := b.Commit(background); err != nil {
		t.Fatal(err)
	}
	return digests
}

// noise returns n bytes that do not compress, another content for each seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	key := [32]byte{byte(seed), byte(seed >> 8)}
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return b
}

func collect(t testing.TB, s *cas.Local, o cas.CollectOptions) *cas.Collected {
	t.Helper()
	done, err := s.Collect(background, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

const day = 24 * time.Hour

func has(s cas.Store, d cas.Digest) bool {
	_, err := s.Stat(background, d)
	return err == nil
}

// TestCollectFull has no room for a copy until something is removed.
func TestCollectFull(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	put(t, s, noise(1, 1<<20))
	used := put(t, s, noise(2, 1<<20), noise(3, 1<<20))[0]
	full := true
	faults := disktest.NewFaults(disk.OS, func(op disktest.Op) error {
		switch {
		case op.Kind == disktest.Remove && strings.HasSuffix(op.Name, ".pack"):
			full = false
		case op.Kind == disktest.Write && full:
			return syscall.ENOSPC
		}
		return nil
	})
	l, err := cas.OpenLocalOn(faults, dir)
	if err != nil {
		t.Fatal(err)
	}
	done := collect(t, l, cas.CollectOptions{Live: objects(used)})
	if done.Removed.Bytes < 2<<20 || done.Before.Packs != 2 || done.After.Packs != 1 || done.Repacked != 1 {
		t.Errorf("Collect returned %+v", done)
	}
	if got, err := readAll(l, used); err != nil || !bytes.Equal(got, noise(2, 1<<20)) {
		t.Error("what is in use is not there")
	}
}

func TestCollect(t *testing.T) {
	large := func(seed uint64) []byte { return noise(seed, 3<<20) }
	for _, test := range []struct {
		name  string
		grace time.Duration
		age   time.Duration
		dry   bool
		goes  bool
	}{
		{name: "old and of no use", grace: 14 * day, age: 15 * day, goes: true},
		{name: "young", grace: 14 * day, age: 13 * day},
		{name: "of no grace", goes: true},
		{name: "dry run", dry: true},
		{name: "of the future", age: -48 * time.Hour, grace: day},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openLocal(t, dir)
			kept := put(t, s, large(1), []byte("small"), noise(2, 1000))
			dead := put(t, s, large(3), []byte("other"), noise(4, 1000))
			age(t, dir, test.age)
			done := collect(t, s.Local, cas.CollectOptions{Live: objects(kept...), Grace: test.grace, DryRun: test.dry})
			for _, d := range kept {
				if !has(s, d) {
					t.Errorf("%s is in use and gone", d.Short())
				}
			}
			for _, d := range dead {
				if has(s, d) == test.goes {
					t.Errorf("%s is of no use: it is there: %t", d.Short(), !test.goes)
				}
				// Another process sees the same.
				if has(openLocal(t, dir), d) == test.goes {
					t.Errorf("%s is of no use: another process finds it: %t", d.Short(), !test.goes)
				}
			}
			wantContent(t, s, large(1))
			if gone := done.Before.Bytes-done.After.Bytes > 3<<20; gone != (test.goes || test.dry) {
				t.Errorf("it was %d bytes and is %d", done.Before.Bytes, done.After.Bytes)
			}
			if test.goes || test.dry {
				if done.Removed.Objects < 3 || done.Removed.Bytes < 3<<20 {
					t.Errorf("it removed %+v", done.Removed)
				}
			} else if done.Young.Objects < 3 || done.Removed.Objects > 0 {
				t.Errorf("too young are %+v, removed %+v", done.Young, done.Removed)
			}
		})
	}
}

// TestCollectCopies: what is in use moves out of packs that are mostly not.
func TestCollectCopies(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	var contents [][]byte
	for i := range uint64(40) {
		contents = append(contents, noise(i, 100_000), []byte(strings.Repeat(fmt.Sprintf("text %d ", i), 1000)))
	}
	contents = append(contents, noise(99, 5<<20))
	all := put(t, s, contents...)
	age(t, dir, 15*day)
	var live []cas.Digest
	for i, d := range all {
		if i%8 == 0 {
			live = append(live, d)
		}
	}
	before := packsOf(t, dir)
	done := collect(t, s.Local, cas.CollectOptions{Live: objects(live...), Grace: 14 * day})
	if done.Repacked == 0 || slices.Equal(before, packsOf(t, dir)) {
		t.Fatalf("nothing was copied: %+v", done)
	}
	for i, content := range contents {
		if i%8 == 0 {
			wantContent(t, s, content)
			wantContent(t, openLocal(t, dir), content)
		} else if has(s, all[i]) {
			t.Errorf("%d is of no use and still there", i)
		}
	}
	if again := collect(t, s.Local, cas.CollectOptions{Live: objects(live...), Grace: 14 * day}); again.Repacked+again.Removed.Objects > 0 {
		t.Errorf("the second time it did %+v", again)
	}
}

func packsOf(t testing.TB, dir string) []string { return listFiles(t, filepath.Join(dir, "packs")) }

// TestCollectLeaves: little that is of no use is not worth the copying, unless all is to go.
func TestCollectLeaves(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	var contents [][]byte
	for i := range uint64(20) {
		contents = append(contents, noise(i, 1<<20))
	}
	all := put(t, s, contents...)
	age(t, dir, 15*day)
	done := collect(t, s.Local, cas.CollectOptions{Live: objects(all[1:]...), Grace: 14 * day})
	if done.Left.Objects == 0 || done.Removed.Objects > 0 || !has(s, all[0]) {
		t.Errorf("got %+v", done)
	}
	done = collect(t, s.Local, cas.CollectOptions{Live: objects(all[1:]...)})
	if done.Left.Objects > 0 || done.Removed.Objects == 0 || has(s, all[0]) {
		t.Errorf("without a grace: got %+v", done)
	}
}

// TestCollectPutsTogether: many small packs become few.
func TestCollectPutsTogether(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	var all []cas.Digest
	for i := range uint64(9) {
		all = append(all, put(t, s, noise(i, 10_000))...)
	}
	age(t, dir, 15*day)
	done := collect(t, s.Local, cas.CollectOptions{Live: objects(all...), Grace: 14 * day})
	if got := len(packsOf(t, dir)); got != 1 || done.Repacked != 9 || done.Removed.Objects != 0 {
		t.Errorf("%d packs are left: %+v", got, done)
	}
	for i := range uint64(9) {
		wantContent(t, s, noise(i, 10_000))
	}
}

// TestCollectLooksAgain: what is named, or put again, while it works stays.
func TestCollectLooksAgain(t *testing.T) {
	t.Run("named meanwhile", func(t *testing.T) {
		dir := t.TempDir()
		s := openLocal(t, dir)
		all := put(t, s, noise(1, 1000), noise(2, 2<<20))
		calls := 0
		live := func(ctx context.Context, each func(cas.Digest) error) error {
			if calls++; calls == 1 {
				return nil
			}
			return objects(all...)(ctx, each)
		}
		collect(t, s.Local, cas.CollectOptions{Live: live})
		if calls != 2 {
			t.Errorf("it asked %d times", calls)
		}
		wantContent(t, s, noise(1, 1000))
		wantContent(t, s, noise(2, 2<<20))
	})
	t.Run("put again meanwhile", func(t *testing.T) {
		dir := t.TempDir()
		s, other := openLocal(t, dir), openLocal(t, dir)
		put(t, s, noise(1, 1000))
		age(t, dir, 15*day)
		calls := 0
		live := func(context.Context, func(cas.Digest) error) error {
			if calls++; calls == 1 {
				put(t, other, noise(1, 1000))
			}
			return nil
		}
		collect(t, s.Local, cas.CollectOptions{Live: live, Grace: 14 * day})
		wantContent(t, other, noise(1, 1000))
	})
}

func TestCollectRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	dead := put(t, s, noise(1, 1000))
	stop := errors.New("half of the roots")
	calls := 0
	fails := func(at int) cas.Objects {
		calls = 0
		return func(context.Context, func(cas.Digest) error) error {
			if calls++; calls == at {
				return stop
			}
			return nil
		}
	}
	for at := 1; at <= 2; at++ {
		if _, err := s.Collect(background, cas.CollectOptions{Live: fails(at)}); !errors.Is(err, stop) {
			t.Errorf("call %d fails: got %v", at, err)
		}
	}
	if !has(s, dead[0]) {
		t.Error("it removed something all the same")
	}
	release, err := openLocal(t, dir).Use(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(background, cas.CollectOptions{Live: objects(), Wait: 50 * time.Millisecond}); !errors.Is(err, cas.ErrInUse) {
		t.Errorf("got %v while others use it", err)
	}
	if !has(s, dead[0]) {
		t.Error("it removed something that others may rely on")
	}
	release()
	collect(t, s.Local, cas.CollectOptions{Live: objects()})
	if has(s, dead[0]) {
		t.Error("it is still there when nobody uses the store")
	}
}

// TestCollectLeavesDamagedPacks: what can't be read is not thrown away with the rest.
func TestCollectLeavesDamagedPacks(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	all := put(t, s, noise(1, 900_000), noise(2, 900_000), noise(3, 900_000))
	if err := s.Corrupt(all[0]); err != nil {
		t.Fatal(err)
	}
	before := packsOf(t, dir)
	done := collect(t, s.Local, cas.CollectOptions{Live: objects(all[0])})
	if len(done.Damaged) == 0 || !slices.Contains(packsOf(t, dir), before[0]) {
		t.Errorf("got %+v", done)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	all := put(t, s, noise(1, 1000), []byte(strings.Repeat("text ", 10_000)), noise(2, 5<<20))
	for _, o := range []cas.CheckOptions{{}, {Full: true}, {Sample: 1}, {Sample: 0.5, Seed: 7}} {
		o.Objects = objects(all...)
		got, err := s.Check(background, o)
		if err != nil || got.Packs != 1 || got.Objects != 3 || len(got.Missing)+len(got.Damaged)+len(got.Unreadable) > 0 {
			t.Errorf("%+v: got %+v, %v", o, got, err)
		}
		if read := got.Groups > 0; read != (o.Full || o.Sample == 1) && o.Sample != 0.5 {
			t.Errorf("%+v: read %d groups", o, got.Groups)
		}
	}
	gone := cas.Sum([]byte("never put"))
	got, err := s.Check(background, cas.CheckOptions{Objects: objects(gone, all[0], gone)})
	if err != nil || !slices.Equal(got.Missing, []cas.Digest{gone}) || got.Objects != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestCheckFindsDamage: any byte of a pack that is changed is found, what is
// whole stays, and what is not is missing.
func TestCheckFindsDamage(t *testing.T) {
	contents := [][]byte{noise(1, 400_000), noise(2, 3<<20), []byte(strings.Repeat("some text ", 3000)), []byte("x")}
	for at := range 24 {
		dir := t.TempDir()
		s := openLocal(t, dir)
		all := put(t, s, contents...)
		name := filepath.Join(dir, "packs", packsOf(t, dir)[0])
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		place := len(b) * at / 23
		if place == len(b) {
			place--
		}
		b[place] ^= 0x10
		if err := overwrite(name, b); err != nil {
			t.Fatal(err)
		}
		fresh := openLocal(t, dir)
		got, err := fresh.Check(background, cas.CheckOptions{Full: true, Objects: objects(all...)})
		if err != nil {
			t.Fatalf("byte %d: %v", place, err)
		}
		if len(got.Damaged) == 0 || len(got.Missing) == 0 {
			t.Errorf("byte %d of %d: got %+v", place, len(b), got)
			continue
		}
		if q := got.Damaged[0].Quarantine; q == "" {
			t.Errorf("byte %d: the pack was left", place)
		} else if _, err := os.Stat(q); err != nil {
			t.Errorf("byte %d: %v", place, err)
		}
		for i, d := range all {
			if !slices.Contains(got.Missing, d) {
				wantContent(t, fresh, contents[i])
			}
		}
		// Put again, it is whole again.
		put(t, fresh, contents...)
		got, err = openLocal(t, dir).Check(background, cas.CheckOptions{Full: true, Objects: objects(all...)})
		if err != nil || len(got.Damaged)+len(got.Missing) > 0 {
			t.Errorf("byte %d, repaired: got %+v, %v", place, got, err)
		}
	}
}

// TestCheckGoesOn: an interrupted full check does not begin anew.
func TestCheckGoesOn(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	var all []cas.Digest
	for i := range uint64(6) {
		all = append(all, put(t, s, noise(i, 10_000))...)
	}
	ctx, cancel := context.WithCancel(background)
	read := 0
	_, err := s.Check(ctx, cas.CheckOptions{Full: true, Objects: objects(all...), Progress: func(int64) {
		if read++; read == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	got, err := s.Check(background, cas.CheckOptions{Full: true, Objects: objects(all...)})
	if err != nil || got.Resumed < 2 || got.Resumed+got.Groups != 6 {
		t.Errorf("the second: got %+v, %v", got, err)
	}
	got, err = s.Check(background, cas.CheckOptions{Full: true, Objects: objects(all...)})
	if err != nil || got.Resumed != 0 || got.Groups != 6 {
		t.Errorf("a third after one that was finished: got %+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check"), []byte("no checkpoint"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Check(background, cas.CheckOptions{Full: true}); err != nil || got.Resumed != 0 || got.Groups != 6 {
		t.Errorf("with a damaged checkpoint: got %+v, %v", got, err)
	}
}
