//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// TestSoak has eight processes at work for a while on one store: six that add,
// run, restore, commit, check out and throw away, each in a worktree of its own
// in one of two clones, and two that collect garbage and look for damage. A model
// knows what must be there: the artifacts of every lock that is committed on a
// branch of any worktree, and of the lock in each worktree. Nothing of it may be
// lost or wrong, and no command may fail for any reason but another kept's work.
//
//	FAULTS_SOAK=2h go test ./cmd/kept -run TestSoak -v -timeout 0
//
// It says every minute what was done, stops at the first thing that is wrong, and
// then leaves the folder with the log of every process. FAULTS_SEED repeats what
// each process does, not how they meet. FAULTS_BINARY is another kept to test.
func TestSoak(t *testing.T) {
	length := 10 * time.Second
	if text := os.Getenv("FAULTS_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal("FAULTS_SOAK: ", err)
		}
		length = d
	} else if testing.Short() {
		length = 3 * time.Second
	}
	s := newSoak(t, envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000)))
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	s.run(ctx, length)
	s.checkAll()
	t.Logf("%s: %s; FAULTS_SEED=%d", length, s.counts(), s.seed)
	if s.wrong == "" {
		return
	}
	t.Errorf("FAULTS_SEED=%d: %s\nall there is to know is in %s", s.seed, s.wrong, s.dir)
}

// soak is the two clones, who works in them, and what must be there.
type soak struct {
	t     *testing.T
	seed  int
	dir   string
	box   *sandbox
	store *cas.Local

	workers []*worker
	mu      sync.Mutex
	done    map[string]int
	wrong   string // the first thing that was
	stop    context.CancelFunc

	// model guards what is committed: who checks it holds off who throws away.
	model   sync.RWMutex
	commits []*soakCommit
}

// soakCommit is a commit on a branch, and what its lock names.
type soakCommit struct {
	clone, branch, hash string
	lock                string
	outputs             map[string]cas.Digest // by path
}

// worker is one process after the other, in one worktree.
type worker struct {
	*soak
	box   *sandbox
	name  string
	clone string
	rng   *rand.Rand
	log   *os.File

	// outputs are the artifacts that the lock in the worktree names, by path.
	outputs map[string]cas.Digest
	mine    []*soakCommit
	made    int
}

const soakExperiment = `[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
inputs    = ["data/rows.bin"]
params    = ["params.toml"]
metrics   = ["metrics.json"]
artifacts = { model = "models/model.bin", parts = "models/parts" }
`

const soakScript = `set -e
. ./params.toml
rm -rf models
mkdir -p models/parts/deep
{ echo "model $version"; cat data/rows.bin; } > models/model.bin
for i in 1 2 3; do yes "part $i of $version" | head -c 20000 > models/parts/deep/$i; done
echo "index $version" > models/parts/index
echo "{\"score\": $version}" > metrics.json
`

func newSoak(t *testing.T, seed int) *soak {
	box := newSandbox(t)
	// Not the test's own folder: that one goes away also when something is wrong.
	dir, err := os.MkdirTemp(os.Getenv("FAULTS_DIR"), "kept-soak-")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	if other := os.Getenv("FAULTS_BINARY"); other != "" {
		bin := filepath.Join(box.dir, "bin", "kept")
		if out, err := exec.Command("cp", "--remove-destination", other, bin).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	s := &soak{t: t, seed: seed, dir: dir, done: map[string]int{}, box: box.in(filepath.Join(dir, "a"))}
	t.Cleanup(func() {
		if s.wrong == "" && !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	a, b := s.box, s.box.in(filepath.Join(dir, "b"))
	a.write("kept.toml", soakExperiment)
	a.write("train.sh", soakScript)
	a.write("params.toml", "version=0\n")
	a.write(".gitignore", "metrics.json\n/data/\n/models/\n")
	a.run("git", "init", "-q")
	a.run("git", "config", "gc.auto", "0")
	a.run("kept", "init")
	a.run("git", "add", ".")
	a.run("git", "commit", "-q", "-m", "start", "--no-verify")
	a.run("git", "clone", "-q", a.dir, b.dir)
	b.run("git", "config", "gc.auto", "0")
	cache := filepath.Join(dir, "cache")
	a.run("kept", "init", "--cache", cache)
	b.run("kept", "init", "--cache", cache)
	if s.store, err = cas.OpenForeign(cache); err != nil {
		t.Fatal(err)
	}
	for i, clone := range []*sandbox{a, a, a, b, b, b} {
		name := fmt.Sprintf("%s%d", filepath.Base(clone.dir), i%3)
		at := clone
		if i%3 > 0 {
			at = clone.in(filepath.Join(dir, name))
			clone.run("git", "worktree", "add", "-q", "--detach", at.dir)
		} else {
			at.run("git", "checkout", "-q", "--detach")
		}
		s.workers = append(s.workers, s.worker(name, clone, at, i))
	}
	return s
}

// worker returns a worker with a log of its own.
func (s *soak) worker(name string, clone, at *sandbox, number int) *worker {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return &worker{soak: s, box: at, name: name, clone: clone.dir, log: log,
		rng: rand.New(rand.NewPCG(uint64(s.seed), uint64(number))), outputs: map[string]cas.Digest{}}
}

// run lets all work until ctx ends or something is wrong.
func (s *soak) run(ctx context.Context, length time.Duration) {
	ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	var all sync.WaitGroup
	start := func(work func(ctx context.Context)) {
		all.Add(1)
		go func() {
			defer all.Done()
			for ctx.Err() == nil {
				work(ctx)
			}
		}()
	}
	for _, w := range s.workers {
		start(w.step)
	}
	for i := range 2 {
		at := s.workers[3*i]
		keeper := s.worker(fmt.Sprintf("keeper%d", i), s.box.in(at.clone), at.box, 100+i)
		start(keeper.keep)
	}
	began, tick := time.Now(), time.NewTicker(time.Minute)
	defer tick.Stop()
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			fmt.Fprintf(os.Stderr, "soak %s of %s: %s; FAULTS_SEED=%d\n", time.Since(began).Round(time.Second), length, s.counts(), s.seed)
		}
	}
}

func (s *soak) counts() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var words []string
	for _, verb := range slices.Sorted(maps.Keys(s.done)) {
		words = append(words, fmt.Sprintf("%s %d", verb, s.done[verb]))
	}
	return strings.Join(words, ", ")
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[what]++
}

// fail notes what is wrong and stops everybody.
func (w *worker) fail(format string, args ...any) {
	text := w.name + ": " + fmt.Sprintf(format, args...)
	fmt.Fprintf(w.log, "%s WRONG %s\n", time.Now().Format(time.StampMicro), text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == "" {
		w.wrong = text
	}
	w.stop()
}

// do runs a program in the worker's worktree and reports whether it ended well.
// What may fail is a kept that another one, which it names, holds up. A Git that
// meets another one at a ref gives up at once, and is asked again, as a user would.
func (w *worker) do(name string, args ...string) (string, bool) {
	for again := 10; ; again-- {
		out, err := w.once(name, args...)
		switch {
		case err == nil:
			return out, true
		case strings.Contains(out, "another kept is at work here") || strings.Contains(out, "the store is in use by"):
			w.count("busy")
			return out, false
		case name == "git" && strings.Contains(out, ".lock': File exists") && again > 0:
			w.count("git again")
			time.Sleep(100 * time.Millisecond)
		default:
			w.fail("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
			return out, false
		}
	}
}

// once runs a program once, and notes what it said.
func (w *worker) once(name string, args ...string) (string, error) {
	began := time.Now()
	fmt.Fprintf(w.log, "%s %s %s\n", began.Format(time.StampMicro), name, strings.Join(args, " "))
	out, err := w.box.try(name, args...)
	fmt.Fprintf(w.log, "%s %s, %v\n%s", time.Now().Format(time.StampMicro), time.Since(began).Round(time.Millisecond), err, out)
	verb := args[0]
	if name == "git" {
		verb = "git"
	} else if len(args) > 1 && strings.HasPrefix(args[1], "--") {
		verb += " " + args[1]
	}
	w.count(verb)
	return out, err
}

// step is one thing that a user does.
func (w *worker) step(context.Context) {
	switch n := w.rng.IntN(20); {
	case n < 5:
		w.add()
	case n < 9:
		w.train()
	case n < 13:
		w.commit()
	case n < 16:
		w.checkout()
	case n < 18:
		w.restore()
	case n < 19:
		w.throwAway()
	default:
		w.do("kept", "status")
	}
}

// keep is one thing that looks after the store.
func (w *worker) keep(ctx context.Context) {
	args := [][]string{
		{"status"}, {"verify"}, {"gc"}, {"gc", "--grace", "0"}, {"gc", "--grace", "0"}, {"gc", "--grace", "0"},
		{"fsck"}, {"fsck"}, {"fsck", "--full"},
	}[w.rng.IntN(9)]
	if args[0] == "verify" {
		w.checkCommits(1)
		return
	}
	w.do("kept", args...)
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(w.rng.IntN(300)) * time.Millisecond):
	}
}

// soakContents is how many contents there are: so few that what was thrown away
// is soon put again, perhaps while it is being collected.
const soakContents = 60

// soakContent returns one of the contents: text, noise, floats, much, little.
func soakContent(i int) []byte {
	r := rand.New(rand.NewPCG(7, uint64(i)))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	switch i % 6 {
	case 0:
		return []byte(strings.Repeat(fmt.Sprintf("row %d,0.25,positive\n", i), 1+r.IntN(5000)))
	case 1:
		return noise(1 + r.IntN(200_000))
	case 2: // floats of one size, as weights are: the high bytes alike, the low ones not
		b := noise(4 * (1 + r.IntN(100_000)))
		for i := 3; i < len(b); i += 4 {
			b[i-1], b[i] = b[i-1]&3|0x80, 0x3f
		}
		return b
	case 3: // versions of one large file, cut into chunks that are mostly the same
		b := bytes.Repeat([]byte("0123456789abcdef"), 0)
		same := rand.New(rand.NewPCG(8, 8))
		for range 3 << 17 {
			v := same.Uint64()
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40))
		}
		copy(b[r.IntN(len(b)-5000):], noise(5000))
		return b
	case 4:
		return []byte(fmt.Sprint(i))
	}
	return nil
}

// put writes one of the contents and returns its digest.
func (w *worker) put(name string, content []byte) cas.Digest {
	file := filepath.Join(w.box.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file+".part", content, 0o644), os.Rename(file+".part", file)); err != nil {
		w.fail("%v", err)
	}
	return cas.Sum(content)
}

func (w *worker) content() []byte { return soakContent(w.rng.IntN(soakContents)) }

// add changes data that no stage writes.
func (w *worker) add() {
	next := maps.Clone(w.outputs)
	maps.DeleteFunc(next, func(name string, _ cas.Digest) bool { return strings.HasPrefix(name, "data/") })
	next["data/extra.bin"] = w.put("data/extra.bin", w.content())
	if err := os.RemoveAll(filepath.Join(w.box.dir, "data/set")); err != nil {
		w.fail("%v", err)
	}
	for i := range 1 + w.rng.IntN(5) {
		name := fmt.Sprintf("data/set/%d/file", i)
		next[name] = w.put(name, w.content())
	}
	if _, ok := w.do("kept", "add", "data/extra.bin", "data/set"); ok {
		w.outputs = next
		w.check("after an add")
	}
}

// train makes the stage stale and runs it.
func (w *worker) train() {
	if _, err := os.Stat(filepath.Join(w.box.dir, "data/rows.bin")); err != nil || w.rng.IntN(3) == 0 {
		w.put("data/rows.bin", w.content())
	}
	version := w.rng.IntN(20)
	w.put("params.toml", fmt.Appendf(nil, "version=%d\n", version))
	if _, ok := w.do("kept", "run"); !ok {
		return
	}
	rows, err := os.ReadFile(filepath.Join(w.box.dir, "data/rows.bin"))
	if err != nil {
		w.fail("%v", err)
		return
	}
	next := maps.Clone(w.outputs)
	next["models/model.bin"] = cas.Sum(append(fmt.Appendf(nil, "model %d\n", version), rows...))
	next["models/parts/index"] = cas.Sum(fmt.Appendf(nil, "index %d\n", version))
	for i := 1; i <= 3; i++ {
		part := strings.Repeat(fmt.Sprintf("part %d of %d\n", i, version), 20000)[:20000]
		next[fmt.Sprintf("models/parts/deep/%d", i)] = cas.Sum([]byte(part))
	}
	w.outputs = next
	w.check("after a run")
}

// commit puts the lock on a branch of its own, from where anybody may check it out.
func (w *worker) commit() {
	if _, ok := w.do("git", "add", "-A"); !ok {
		return
	}
	if out, ok := w.do("git", "status", "--porcelain"); !ok || out == "" || len(w.outputs) == 0 {
		return
	}
	w.made++
	c := &soakCommit{clone: w.clone, branch: fmt.Sprintf("%s-%d", w.name, w.made), outputs: maps.Clone(w.outputs), lock: w.box.read("kept.lock")}
	if _, ok := w.do("git", "commit", "-q", "-m", c.branch); !ok {
		return
	}
	if _, ok := w.do("git", "branch", c.branch); !ok {
		return
	}
	c.hash = strings.TrimSpace(w.box.run("git", "rev-parse", "HEAD"))
	w.mine = append(w.mine, c)
	w.model.Lock()
	w.commits = append(w.commits, c)
	w.model.Unlock()
	w.count("commits")
	if len(w.mine) > 25 {
		w.throwAway()
	}
}

// checkout goes to a commit, mostly one of its own, and wants its artifacts.
func (w *worker) checkout() {
	w.model.RLock() // nobody throws it away meanwhile
	defer w.model.RUnlock()
	var near []*soakCommit
	for _, c := range w.commits {
		if c.clone == w.clone {
			near = append(near, c)
		}
	}
	if len(near) == 0 {
		return
	}
	c := near[w.rng.IntN(len(near))]
	if _, ok := w.do("git", "checkout", "-q", "--detach", "-f", c.branch); !ok {
		return
	}
	w.outputs = maps.Clone(c.outputs)
	w.check("after checking out " + c.branch)
}

// restore loses artifacts and wants them back.
func (w *worker) restore() {
	for _, name := range []string{"data/extra.bin", "data/set", "models/model.bin", "models/parts", "data", "models"} {
		if w.rng.IntN(3) == 0 {
			if name == "data" { // rows.bin is an input, which restore leaves to the user
				name = "data/set/0"
			}
			if err := os.RemoveAll(filepath.Join(w.box.dir, name)); err != nil {
				w.fail("%v", err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(w.box.dir, "kept.lock")); err != nil {
		return // nothing was kept yet
	}
	if w.rng.IntN(3) == 0 && len(w.outputs) > 0 {
		if _, ok := w.outputs["models/model.bin"]; ok {
			w.put("models/model.bin", w.content()) // perhaps content that no store has: it is saved first
		}
	}
	if _, ok := w.do("kept", "restore"); ok {
		w.check("after a restore")
	}
}

// throwAway deletes the branch of a commit and what Git remembers of it.
func (w *worker) throwAway() {
	if len(w.mine) < 3 {
		return
	}
	i := w.rng.IntN(len(w.mine))
	c := w.mine[i]
	w.mine = slices.Delete(w.mine, i, i+1)
	w.model.Lock()
	defer w.model.Unlock()
	w.commits = slices.DeleteFunc(w.commits, func(o *soakCommit) bool { return o == c })
	w.do("git", "branch", "-q", "-D", c.branch)
	w.do("git", "reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
	w.count("thrown away")
}

// check compares the worktree with what must be there.
func (w *worker) check(when string) {
	got := map[string]cas.Digest{}
	for _, top := range []string{"models", "data"} {
		root := filepath.Join(w.box.dir, top)
		err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(w.box.dir, name)
			if rel == "data/rows.bin" {
				return nil
			}
			b, err := os.ReadFile(name)
			got[rel] = cas.Sum(b)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail("%v", err)
			return
		}
	}
	w.count("compared")
	if maps.Equal(got, w.outputs) {
		return
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.outputs)) {
		if got[name] != w.outputs[name] {
			fmt.Fprintf(&text, "%s is %s, want %s\n", name, got[name], w.outputs[name])
		}
		delete(got, name)
	}
	for name := range got {
		fmt.Fprintf(&text, "%s should not be there\n", name)
	}
	w.fail("%s: %s", when, text.String())
}

// checkCommits reads all that the locks of some commits name, out of the store.
func (w *worker) checkCommits(some int) {
	for range some {
		w.model.RLock()
		if len(w.commits) == 0 {
			w.model.RUnlock()
			return
		}
		c := w.commits[w.rng.IntN(len(w.commits))]
		err := lockStored(w.store, c.lock)
		w.model.RUnlock()
		w.count("locks read")
		if err != nil {
			w.fail("the lock of %s in %s: %v", c.branch, c.clone, err)
		}
	}
}

// checkAll checks every lock that must be there, once all is quiet: through a
// checkout into a worktree, and out of the store.
func (s *soak) checkAll() {
	s.stop = func() {}
	if s.wrong != "" {
		return
	}
	for _, w := range s.workers {
		if len(w.outputs) > 0 {
			w.do("kept", "restore")
			w.check("at the end")
			if err := lockStored(s.store, w.box.read("kept.lock")); err != nil {
				w.fail("the lock at the end: %v", err)
			}
		}
	}
	for _, c := range s.commits {
		at := s.workers[slices.IndexFunc(s.workers, func(w *worker) bool { return w.clone == c.clone })]
		at.do("git", "checkout", "-q", "--detach", "-f", c.branch)
		at.outputs = c.outputs
		at.check("at the end, after checking out " + c.branch)
		if err := lockStored(s.store, c.lock); err != nil {
			at.fail("at the end, the lock of %s: %v", c.branch, err)
		}
	}
	s.workers[0].do("kept", "fsck", "--full")
}

// lockStored reads all that a lock names out of a store.
func lockStored(store cas.Store, text string) error {
	lock, err := lockfile.Parse([]byte(text))
	if err != nil {
		return err
	}
	names := map[string]cas.Digest{}
	folders := map[string]bool{}
	note := func(what string, d cas.Digest, folder bool) { names[what], folders[what] = d, folder }
	for name, a := range lock.Artifacts {
		note("artifact "+name, a.Hash, a.Folder)
	}
	for stage, block := range lock.Stages {
		for name, a := range block.Artifacts {
			note(stage+" artifact "+name, a.Hash, a.Folder)
		}
		for name, in := range block.Inputs {
			note(stage+" input "+name, in.Hash, in.Folder)
		}
		for name, d := range block.History {
			note(stage+" history "+name, d, false)
		}
		if !block.Environment.Packages.IsZero() {
			note(stage+" packages", block.Environment.Packages, false)
		}
	}
	for what, d := range names {
		b, err := readObject(store, d)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !folders[what] {
			continue
		}
		tree, err := cas.ParseTree(b)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		for _, e := range tree {
			if _, err := readObject(store, e.Digest); err != nil {
				return fmt.Errorf("%s: %s: %w", what, e.Path, err)
			}
		}
	}
	return nil
}

// lockFiles returns the files of the artifacts of a lock, by path.
func lockFiles(t *testing.T, store cas.Store, text string) map[string]cas.Digest {
	t.Helper()
	lock, err := lockfile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]cas.Digest{}
	note := func(a *lockfile.Artifact) {
		if !a.Folder {
			list[a.Path] = a.Hash
			return
		}
		b, err := readObject(store, a.Hash)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := cas.ParseTree(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tree {
			list[a.Path+"/"+e.Path] = e.Digest
		}
	}
	for _, a := range lock.Artifacts {
		note(a)
	}
	for _, stage := range lock.Stages {
		for _, a := range stage.Artifacts {
			note(a)
		}
	}
	return list
}

// readObject reads an object and trusts no store to have hashed it.
func readObject(store cas.Store, d cas.Digest) ([]byte, error) {
	r, err := store.Open(context.Background(), d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil && cas.Sum(b) != d {
		err = fmt.Errorf("object %s has other bytes, and the store did not notice", d)
	}
	return b, err
}
