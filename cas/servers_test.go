package cas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/azure"
	place "github.com/kept-dev/kept/cas/remote/file"
	"github.com/kept-dev/kept/cas/remote/gcs"
	"github.com/kept-dev/kept/cas/remote/http"
	"github.com/kept-dev/kept/cas/remote/oci"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/s3"
	"github.com/kept-dev/kept/cas/remote/sftp"
)

// served is a remote of one kind on a server of its field, and what can go wrong with it.
type served struct {
	// open opens it as a new process would, by way of what goes wrong.
	open func() (remote.Remote, error)
	trouble
}

// trouble is what goes wrong.
type trouble interface {
	kinds() []string
	// begin lets a kind of it happen somewhere in a transfer.
	begin(kind string)
	// end lets all go well again, and returns how often it has struck.
	end() int
}

// servers start a remote of each kind.
var servers = map[string]func(t *testing.T, seed uint64) *served{
	"file": serveFile, "s3": serveS3, "gcs": serveGCS, "azure": serveAzure, "sftp": serveSFTP, "dav": serveDAV, "oci": serveOCI,
}

func serveS3(t *testing.T, seed uint64) *served {
	address, url := remotetest.StartS3At(t)
	p := remotetest.NewProxy(t, "http://"+address, seed)
	return opened(p, s3.Open, url, remotetest.S3Settings(p.Addr()))
}

func serveGCS(t *testing.T, seed uint64) *served {
	url, settings := remotetest.StartGCS(t)
	p := remotetest.NewProxy(t, os.Getenv("STORAGE_EMULATOR_HOST"), seed)
	remotetest.UseGCS(t, p.URL())
	return opened(p, gcs.Open, url, settings)
}

func serveAzure(t *testing.T, seed uint64) *served {
	url, settings := remotetest.StartAzurite(t)
	service := strings.TrimSuffix(settings["endpoint"], "/"+remotetest.AzureAccount)
	p := remotetest.NewProxy(t, service, seed)
	settings["endpoint"] = p.URL() + "/" + remotetest.AzureAccount
	return opened(p, azure.Open, url, settings)
}

func serveSFTP(t *testing.T, seed uint64) *served {
	s := remotetest.StartSSHD(t)
	p := remotetest.NewTCPProxy(t, s.Address, seed)
	s.Trust(t, p.Addr())
	way := opened(p, sftp.Open, strings.Replace(s.URL, s.Address, p.Addr(), 1), nil)
	// On an encrypted way there is less that can go wrong; so the server does too.
	server := faulty(way.open, seed)
	return &served{open: server.open, trouble: either{way, server}}
}

func serveDAV(t *testing.T, seed uint64) *served {
	url, settings := remotetest.StartWebDAV(t)
	address := os.Getenv("KEPT_HTTP_HOST")
	p := remotetest.NewProxy(t, "http://"+address, seed)
	t.Setenv("KEPT_HTTP_HOST", p.Addr())
	return opened(p, http.Open, strings.Replace(url, address, p.Addr(), 1), settings)
}

func serveOCI(t *testing.T, seed uint64) *served {
	url, settings := remotetest.StartRegistry(t)
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "oci://"), "/")
	p := remotetest.NewProxy(t, "http://"+address, seed)
	return opened(p, oci.Open, "oci://"+p.Addr()+"/"+path, settings)
}

func serveFile(t *testing.T, seed uint64) *served {
	url := "file://" + filepath.ToSlash(t.TempDir())
	return faulty(func() (remote.Remote, error) { return openAt(place.Open, url, nil) }, seed)
}

// faulty is a remote that fails by itself.
func faulty(open func() (remote.Remote, error), seed uint64) *served {
	f := &faultyPlace{rng: rand.New(rand.NewPCG(seed, 2))}
	return &served{trouble: f, open: func() (remote.Remote, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		f.now = remotetest.NewFaulty(r)
		f.now.Set(f.faults...)
		return f.now, nil
	}}
}

// either is trouble of one sort or another.
type either []trouble

func (e either) kinds() (list []string) {
	for _, t := range e {
		list = append(list, t.kinds()...)
	}
	return list
}

func (e either) begin(kind string) {
	for _, t := range e {
		if slices.Contains(t.kinds(), kind) {
			t.begin(kind)
		}
	}
}

func (e either) end() (struck int) {
	for _, t := range e {
		struck += t.end()
	}
	return struck
}

type opener = func(context.Context, *remote.URL, remote.Settings) (remote.Remote, error)

func openAt(open opener, url string, settings remote.Settings) (remote.Remote, error) {
	u, err := remote.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return open(background, u, settings)
}

func opened(p remotetest.Troubled, open opener, url string, settings remote.Settings) *served {
	return &served{trouble: troubled{p}, open: func() (remote.Remote, error) { return openAt(open, url, maps.Clone(settings)) }}
}

// troubled is what goes wrong on the way to a server.
type troubled struct{ remotetest.Troubled }

func (p troubled) kinds() (list []string) {
	for _, kind := range p.Kinds() {
		list = append(list, string(kind))
	}
	return list
}

func (p troubled) begin(kind string) { p.Set(p.Random(remotetest.Kind(kind))) }

func (p troubled) end() int {
	defer p.Set()
	return p.Struck()
}

// faultyPlace is what goes wrong with a place itself.
type faultyPlace struct {
	rng    *rand.Rand
	faults []remotetest.Fault
	now    *remotetest.Faulty
}

func (f *faultyPlace) kinds() (list []string) {
	for _, how := range remotetest.Hows() {
		list = append(list, how.String())
	}
	return list
}

func (f *faultyPlace) begin(kind string) {
	fault := remotetest.Fault{Nth: 1 + f.rng.IntN(4), At: f.rng.Int64N(2 << f.rng.IntN(17)), Forever: f.rng.IntN(4) == 0}
	for _, how := range remotetest.Hows() {
		if how.String() == kind {
			fault.How = how
		}
	}
	switch fault.How {
	case remotetest.Short, remotetest.Zero, remotetest.Flip:
		fault.Op = "get" // Put promises that what arrives is what was sent
	}
	f.faults = []remotetest.Fault{fault}
}

func (f *faultyPlace) end() int {
	f.faults = nil
	if f.now == nil {
		return 0
	}
	return f.now.Struck()
}

// use opens the remote for one transfer, closes it, and fails the test where that takes for ever.
func (s *served) use(t *testing.T, l remote.Limits, transfer func(ctx context.Context, r remote.Remote) error) error {
	t.Helper()
	r, err := s.open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err = transfer(ctx, remote.Steady(r, l))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		t.Errorf("it takes for ever: %v", err)
	}
	return errors.Join(err, r.Close())
}

// well is use where nothing goes wrong.
func (s *served) well(t *testing.T, transfer func(ctx context.Context, r remote.Remote) error) {
	t.Helper()
	if err := s.use(t, remote.Limits{Tries: 1}, transfer); err != nil {
		t.Fatal(err)
	}
}

// What one pushes another fetches, byte for byte, by way of servers of the field.
func TestServed(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			s := start(t, 1)
			a, dir := openLocal(t, filepath.Join(t.TempDir(), "a")).Local, filepath.Join(t.TempDir(), "b")
			first := array32(1, 3<<20)
			second := bytes.Clone(first)
			copy(second[1<<20:], noise(1, 10<<10))
			want := []cas.Wanted{file(put(t, a, first)[0]), file(put(t, a, prose(1, 300<<10))[0]), putFolder(t, a, manyFiles(1, 300))}
			o := known(t)
			all := int64(0)
			for range 2 {
				s.well(t, func(ctx context.Context, r remote.Remote) error {
					done := push(t, a, r, o, want...)
					all += done.Bytes
					b := openLocal(t, dir)
					fetch(t, b.Local, r, cas.TransferOptions{}, want...)
					same(t, dir, want...)
					want = append(want, file(put(t, a, second)[0]))
					sent := push(t, a, r, o, want...).Bytes
					got := fetch(t, b.Local, r, cas.TransferOptions{}, want...).Bytes
					if sent > all/10 || got > all/10 {
						t.Errorf("a second version: %d sent, %d fetched, of %d", sent, got, all)
					}
					same(t, dir, want...)
					sound(t, r)
					return nil
				})
			}
		})
	}
}

// TestFaultedTransfers pushes and fetches while things go wrong on the way to servers of
// the field. Whatever happens, each root on the remote lists what is there, nothing is noted
// as pushed that is not, no store has a wrong byte, and all succeeds when it is repeated.
//
//	FAULTS_ROUNDS=1000 go test ./cas -run TestFaultedTransfers/s3 -timeout 0 -v
//
// FAULTS_SEED repeats what a failure printed.
func TestFaultedTransfers(t *testing.T) {
	seed := uint64(faultsInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000)))
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			w := &rounds{t: t, s: start(t, seed), rng: rand.New(rand.NewPCG(seed, 3)), counts: map[string]*count{}}
			kinds := w.s.kinds()
			n := faultsInt(t, "FAULTS_ROUNDS", len(kinds))
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("FAULTS_SEED=%d, round %d: %s", seed, w.round, w.what)
				}
			})
			begun := time.Now()
			for w.round = range n {
				w.one(kinds[w.round%len(kinds)])
				if w.round%100 == 99 {
					fmt.Fprintf(os.Stderr, "%s: %d rounds in %s; FAULTS_SEED=%d\n", name, w.round+1, time.Since(begun).Round(time.Second), seed)
				}
			}
			w.what = "the end"
			var roots, packs int
			w.s.well(t, func(_ context.Context, r remote.Remote) error {
				roots, packs = sound(t, r)
				return nil
			})
			w.report(seed, roots, packs)
		})
	}
}

func faultsInt(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// rounds are pushes and fetches on one server.
type rounds struct {
	t      *testing.T
	s      *served
	rng    *rand.Rand
	round  int
	what   string // that is done just now
	counts map[string]*count

	// What follows is made anew every 20 rounds.

	from     *cas.Local
	to       string // a store that has something already
	options  cas.TransferOptions
	previous []byte
}

// count is how many transfers a kind of trouble has struck, and how many it made fail.
type count struct{ pushes, pushesFailed, fetches, fetchesFailed, strikes int }

// limits are those of somebody without patience: some transfers fail, others get by.
func (w *rounds) limits() remote.Limits {
	return remote.Limits{Tries: 1 + 2*w.rng.IntN(2), Pause: 2 * time.Millisecond, Stall: 300 * time.Millisecond}
}

func (w *rounds) one(kind string) {
	c := w.counts[kind]
	if c == nil {
		c = &count{}
		w.counts[kind] = c
	}
	want := w.content()
	w.what = kind + " at a push"
	w.s.begin(kind)
	var done *cas.Transferred
	err := w.s.use(w.t, w.limits(), func(ctx context.Context, r remote.Remote) (err error) {
		done, err = w.from.Push(ctx, r, want, w.options)
		return err
	})
	count1(w.s.end(), err, c, &c.pushes, &c.pushesFailed)
	w.afterPush(want, done, err)

	w.what = kind + " at a fetch"
	dir := w.to
	if w.rng.IntN(2) == 0 {
		dir = filepath.Join(w.t.TempDir(), "new")
	}
	w.s.begin(kind)
	var got *cas.Transferred
	err = w.s.use(w.t, w.limits(), func(ctx context.Context, r remote.Remote) (err error) {
		got, err = openLocal(w.t, dir).Fetch(ctx, r, want, w.options)
		return err
	})
	count1(w.s.end(), err, c, &c.fetches, &c.fetchesFailed)
	w.afterFetch(dir, want, got, err)
	if dir != w.to {
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func count1(strikes int, err error, c *count, transfers, failed *int) {
	c.strikes += strikes
	if strikes == 0 {
		return
	}
	*transfers++
	if err != nil {
		*failed++
	}
}

// content makes something new to push, much of it as it was before.
func (w *rounds) content() []cas.Wanted {
	if w.round%20 == 0 {
		w.from = openLocal(w.t, filepath.Join(w.t.TempDir(), "from")).Local
		w.from.SetSizes(200<<10, 64)
		w.to = filepath.Join(w.t.TempDir(), "to")
		w.options = cas.TransferOptions{Known: filepath.Join(w.t.TempDir(), "known"), Jobs: 1 + w.rng.IntN(8)}
		w.previous = array32(w.rng.Uint64(), 300<<10+w.rng.IntN(700<<10))
	}
	w.previous = bytes.Clone(w.previous)
	copy(w.previous[w.rng.IntN(200<<10):], array32(w.rng.Uint64(), 50<<10+w.rng.IntN(200<<10)))
	files := map[string][]byte{"empty": nil}
	for i := range 12 {
		files[fmt.Sprintf("d%d/%d", i%3, i)] = prose(w.rng.Uint64(), 100+w.rng.IntN(5000))
	}
	files["large"] = array32(w.rng.Uint64(), w.rng.IntN(400<<10))
	return []cas.Wanted{
		file(put(w.t, w.from, w.previous)[0]),
		file(put(w.t, w.from, prose(w.rng.Uint64(), 1+w.rng.IntN(100<<10)))[0]),
		putFolder(w.t, w.from, files),
	}
}

// afterPush looks at what a push has left and said, and repeats it.
func (w *rounds) afterPush(want []cas.Wanted, done *cas.Transferred, failed error) {
	w.t.Helper()
	w.what += fmt.Sprintf(", which said %v", failed)
	w.s.well(w.t, func(ctx context.Context, r remote.Remote) error {
		rooted := w.rooted(ctx, r, want)
		if failed == nil && (len(rooted) < len(want) || len(done.Missing) > 0) {
			w.t.Fatalf("%d objects are on the remote, want %d: %+v", len(rooted), len(want), done)
		}
		noted, err := cas.Pushed(w.options.Known, digests(want))
		if err != nil {
			return err
		}
		for d := range noted {
			if !slices.Contains(digests(rooted), d) {
				w.t.Fatalf("%s is noted as pushed, and is not there", d)
			}
		}
		if failed != nil {
			w.whole(r, rooted)
		}
		return nil
	})
	w.what += "; repeated"
	w.s.well(w.t, func(ctx context.Context, r remote.Remote) error {
		done := push(w.t, w.from, r, w.options, want...)
		if got := w.rooted(ctx, r, want); len(got) < len(want) || len(done.Missing) > 0 {
			w.t.Fatalf("%d objects are on the remote, want %d: %+v", len(got), len(want), done)
		}
		return nil
	})
}

// rooted returns the objects that have roots, all of which have to be right.
func (w *rounds) rooted(ctx context.Context, r remote.Remote, want []cas.Wanted) (there []cas.Wanted) {
	w.t.Helper()
	for _, one := range want {
		name := "roots/" + one.Digest.Hex()
		if _, err := r.Stat(ctx, name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for pack, size := range cas.RootPacks(w.t, name, get(w.t, r, name)) {
			if there, err := r.Stat(ctx, pack); err != nil || there != size {
				w.t.Fatalf("%s lists %s of %d bytes, which has %d: %v", name, pack, size, there, err)
			}
		}
		there = append(there, one)
	}
	return there
}

// whole fetches objects into a new store and compares them.
func (w *rounds) whole(r remote.Remote, want []cas.Wanted) {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.t.TempDir(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	fetch(w.t, openLocal(w.t, dir).Local, r, cas.TransferOptions{}, want...)
	same(w.t, dir, want...)
	if err := os.RemoveAll(dir); err != nil {
		w.t.Fatal(err)
	}
}

// afterFetch looks at what a fetch has left, and repeats it.
func (w *rounds) afterFetch(dir string, want []cas.Wanted, got *cas.Transferred, failed error) {
	w.t.Helper()
	w.what += fmt.Sprintf(", which said %v", failed)
	s := openLocal(w.t, dir)
	there := 0
	for _, one := range want {
		b, err := cas.ReadAll(background, s, one.Digest, 1<<30)
		missing := new(cas.MissingError)
		switch {
		case errors.As(err, &missing):
		case err != nil:
			w.t.Fatal(err)
		case cas.Sum(b) != one.Digest:
			w.t.Fatalf("%s has other bytes", one.Digest)
		default:
			there++
		}
	}
	if failed == nil && there+len(got.Missing) < len(want) {
		w.t.Fatalf("%d objects came, and %+v", there, got)
	}
	checked, err := s.Check(background, cas.CheckOptions{Full: true})
	if err != nil || len(checked.Damaged)+len(checked.Unreadable) > 0 {
		w.t.Fatalf("the store is damaged: %+v, %v", checked, err)
	}
	w.what += "; repeated"
	w.s.well(w.t, func(_ context.Context, r remote.Remote) error {
		if got := fetch(w.t, openLocal(w.t, dir).Local, r, w.options, want...); len(got.Missing) > 0 {
			w.t.Fatalf("%+v", got)
		}
		same(w.t, dir, want...)
		return nil
	})
}

func digests(want []cas.Wanted) (list []cas.Digest) {
	for _, w := range want {
		list = append(list, w.Digest)
	}
	return list
}

func (w *rounds) report(seed uint64, roots, packs int) {
	var all count
	for _, kind := range slices.Sorted(maps.Keys(w.counts)) {
		c := w.counts[kind]
		w.t.Logf("%-15s struck %4d times: %3d pushes, of which %3d failed, %3d fetches, of which %3d failed",
			kind, c.strikes, c.pushes, c.pushesFailed, c.fetches, c.fetchesFailed)
		all.pushes += c.pushes
		all.pushesFailed += c.pushesFailed
		all.fetches += c.fetches
		all.fetchesFailed += c.fetchesFailed
	}
	w.t.Logf("%d kinds, %d rounds: %d pushes were struck and %d failed, %d fetches and %d; %d roots and %d packs are right; FAULTS_SEED=%d",
		len(w.counts), w.round+1, all.pushes, all.pushesFailed, all.fetches, all.fetchesFailed, roots, packs, seed)
}
