//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas"
)

// TestKills kills the commands that write at random instants and looks at what is
// left, as promise 4 has it: whole files only, a lock that is the old one or the
// new one and names nothing that is not stored, a store without damage, and a next
// command that works.
//
//	FAULTS_KILLS=10000 go test ./cmd/kept -run TestKills$ -timeout 0
//
// A seed fixes the rounds and, within a machine's jitter, the instants:
// FAULTS_SEED repeats what a failure printed.
func TestKills(t *testing.T) {
	rounds := envInt(t, "FAULTS_KILLS", 60)
	seed := envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000))
	// What a killed kept leaves behind becomes a child of this process, to wait for.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip("no subreaper: ", err)
	}
	k := newKillRepo(t)
	counts, landed := map[string]int{}, 0
	for i := range rounds {
		k.rng = rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		kind := killKinds[i%len(killKinds)]
		k.what = fmt.Sprintf("FAULTS_SEED=%d, round %d, %s", seed, i, kind)
		if k.round(kind) {
			counts[kind]++
			landed++
		}
		if i%1000 == 999 {
			fmt.Fprintf(os.Stderr, "%d kills, %d while the command ran: %v; FAULTS_SEED=%d\n", i+1, landed, counts, seed)
		}
		if t.Failed() {
			t.Fatalf("stopped after %s", k.what)
		}
	}
	t.Logf("%d kills, %d while the command ran: %v; recovered %d times from a new lock, %d from the old; FAULTS_SEED=%d",
		rounds, landed, counts, k.sawNew, k.sawOld, seed)
	if rounds >= 30 && landed*10 < rounds*6 {
		t.Errorf("only %d of %d kills came while the command ran", landed, rounds)
	}
}

// killKinds are the commands that are killed, most often those that do most.
var killKinds = []string{"run", "add", "restore", "gc --grace 0", "run", "add", "gc", "gc --grace 0", "fsck --full"}

// killRepo is a repository whose every content follows from a version number.
type killRepo struct {
	*sandbox
	rng     *rand.Rand
	what    string
	version int
	// took is how long each command takes when nobody kills it.
	took map[string]time.Duration
	// past are states of the working tree that a lock describes, the oldest first.
	// Each lock is on a branch of its own, so that no collection takes its objects.
	past           []files
	oldest, newest int
	// last is the state before the round.
	last           files
	sawOld, sawNew int
}

// files are contents by path.
type files map[string]string

// killOutputs are the paths that kept places, removes, or makes way for.
var killOutputs = []string{"models/model.bin", "models/parts", "data/extra.bin", "data/set", "metrics.json"}

// killSources are the files that a user writes.
var killSources = []string{"kept.toml", "train.sh", "params.toml", ".gitignore", ".gitattributes", "data/rows.bin"}

func newKillRepo(t *testing.T) *killRepo {
	s := newSandbox(t).in("work")
	k := &killRepo{sandbox: s, took: map[string]time.Duration{}, rng: rand.New(rand.NewPCG(1, 1)), what: "setup"}
	s.write("kept.toml", `[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
inputs    = ["data/rows.bin"]
params    = ["params.toml"]
metrics   = ["metrics.json"]
artifacts = { model = "models/model.bin", parts = "models/parts" }
`)
	// The command writes whole files only, so that a half one is kept's doing.
	s.write("train.sh", `set -e
. ./params.toml
rm -rf models/parts.part
mkdir -p models/parts.part/deep
{ echo "model $version"; cat data/rows.bin; } > models/model.part
for i in 1 2 3 4; do yes "part $i of $version" | head -c 20000 > models/parts.part/deep/$i; done
echo "index $version" > models/parts.part/index
echo "{\"score\": $version}" > metrics.part
rm -rf models/parts
mv models/model.part models/model.bin
mv models/parts.part models/parts
mv metrics.part metrics.json
`)
	s.write(".gitignore", "*.part\n*.part/\nmetrics.json\n/data/\n/models/\n")
	s.run("git", "init", "-q")
	k.newParams()
	k.newData()
	s.run("kept", "init")
	s.run("kept", "run")
	s.run("kept", "add", "data/extra.bin", "data/set")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "start", "--no-verify")
	k.last = k.snapshot()
	k.remember(k.last)
	return k
}

// remember adds to the past and lets the oldest go.
func (k *killRepo) remember(state files) {
	k.past = append(k.past, state)
	at := *k.sandbox
	at.env = append(slices.Clip(at.env), "GIT_INDEX_FILE="+filepath.Join(k.dir, ".git/past-index"))
	at.run("git", "read-tree", "--empty")
	at.run("git", "add", "-f", "kept.lock")
	commit := at.run("git", "commit-tree", "-m", "past", strings.TrimSpace(at.run("git", "write-tree")))
	k.run("git", "branch", fmt.Sprint("past/", k.newest), strings.TrimSpace(commit))
	k.newest++
	if len(k.past) > 12 {
		k.past = slices.Delete(k.past, 0, 1)
		k.run("git", "branch", "-q", "-D", fmt.Sprint("past/", k.oldest))
		k.oldest++
	}
}

// newParams makes the stage stale.
func (k *killRepo) newParams() {
	k.version++
	k.write("params.toml", fmt.Sprintf("version=%d\n", k.version))
	if k.version == 1 || k.rng.IntN(3) == 0 {
		k.write("data/rows.bin", k.random(200_000))
	}
}

// newData changes what add keeps.
func (k *killRepo) newData() {
	k.version++
	k.write("data/extra.bin", fmt.Sprintf("extra %d\n", k.version)+k.random(300_000))
	for i := range 5 {
		k.write(fmt.Sprintf("data/set/%d.txt", i), strings.Repeat(fmt.Sprintf("row %d of %d\n", i, k.version), 2000))
	}
}

func (k *killRepo) random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(k.rng.Uint32())
	}
	return string(b)
}

// round changes something, starts a command of the kind, kills it, and checks
// what is left and that the same command then does its work. It reports whether
// the kill came while the command ran.
func (k *killRepo) round(kind string) bool {
	args, target := strings.Fields(kind), files(nil)
	switch kind {
	case "run":
		k.newParams()
	case "add":
		k.newData()
		args = append(args, "data/extra.bin", "data/set")
	case "restore":
		target = k.past[k.rng.IntN(len(k.past))]
		for _, name := range append([]string{"kept.lock", "metrics.json"}, killSources...) {
			k.write(name, target[name])
		}
	}
	before := k.snapshot()
	landed := k.kill(args)
	after := k.snapshot()
	k.checkStored(after["kept.lock"])
	k.checkClean()
	if !changesTree(kind) {
		k.checkSame(before, after)
	}
	if out, err := k.try("kept", "status"); err != nil {
		k.fail("status: %v\n%s", err, out)
	}
	if (kind == "run" || kind == "restore") && k.rng.IntN(2) == 0 {
		k.checkBack(after)
	}
	if kind == "run" && k.rng.IntN(2) == 0 {
		// Back to what the lock says, whichever it is, and then on.
		if out, err := k.try("kept", "restore"); err != nil {
			k.fail("restore after the kill: %v\n%s", err, out)
		}
	}
	start := time.Now()
	if out, err := k.try("kept", args...); err != nil {
		k.fail("%s again: %v\n%s", kind, err, out)
	}
	if !landed || k.took[strings.Join(args, " ")] == 0 {
		k.took[strings.Join(args, " ")] = time.Since(start)
	}
	done := k.snapshot()
	k.checkBetween(kind, before, after, done)
	if out, err := k.try("kept", "verify"); err != nil {
		k.fail("verify: %v\n%s", err, out)
	}
	k.last = done
	switch {
	case target != nil:
		k.checkSame(target, done)
	case changesTree(kind):
		k.remember(done)
	default:
		for _, past := range k.past {
			k.checkStored(past["kept.lock"])
		}
		if out, err := k.try("kept", "fsck", "--full"); err != nil {
			k.fail("fsck: %v\n%s", err, out)
		}
	}
	return landed
}

// changesTree reports whether a command of the kind may change the working tree.
func changesTree(kind string) bool { return kind == "run" || kind == "add" || kind == "restore" }

// checkBack goes back to the lock from before, as a checkout would, and makes
// sure that the hook brings its artifacts back.
func (k *killRepo) checkBack(after files) {
	k.write("kept.lock", k.last["kept.lock"])
	k.run("kept", "hook", "post-index-change", "1", "0")
	now := k.snapshot()
	for name := range k.last {
		if isOutput(name) && name != "metrics.json" && now[name] != k.last[name] {
			k.fail("back at the lock from before, %s is not that of the lock", name)
		}
	}
	k.write("kept.lock", after["kept.lock"])
}

// kill starts kept and kills it, or it with all that it started, at a random
// instant of the time that it takes.
func (k *killRepo) kill(args []string) bool {
	cmd := exec.Command(filepath.Join(filepath.Dir(k.dir), "bin", "kept"), args...)
	cmd.Dir, cmd.Env = k.dir, k.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// What outlives kept holds its output open; that is nothing to wait for.
	cmd.WaitDelay = time.Millisecond
	most := k.took[strings.Join(args, " ")]
	if most == 0 {
		most = max(k.took[args[0]], 50*time.Millisecond)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	delay := k.rng.Int64N(int64(most))
	switch k.rng.IntN(4) { // Most is written near the end.
	case 0:
		delay = int64(most)/2 + delay/2
	case 1:
		delay = int64(most)*4/5 + delay/4
	}
	time.Sleep(time.Duration(delay))
	all := k.rng.IntN(2) == 0
	_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
	err := cmd.Wait()
	if all {
		killAdopted(k.t)
	}
	k.awaitAdopted()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return true
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		k.fail("kept %v: %v\n%s", args, err, out.String())
	}
	return false
}

// killAdopted kills what a killed kept had started. The command leads a process
// group of its own, and is this process's child by now.
func killAdopted(t *testing.T) {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatal("no list of children: ", err)
	}
	for _, task := range tasks {
		data, _ := os.ReadFile(task) // A thread may end meanwhile.
		for _, pid := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(pid); err == nil {
				_ = syscall.Kill(-n, syscall.SIGKILL)
			}
		}
	}
}

// awaitAdopted waits for the processes that a killed kept left. No other test
// of this package starts any meanwhile.
func (k *killRepo) awaitAdopted() {
	for range 2000 {
		_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.ECHILD) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	k.t.Fatal("what kept started is still running after 10 s")
}

// snapshot reads the working tree without Git's folder.
func (k *killRepo) snapshot() files {
	k.t.Helper()
	tree := files{}
	err := fs.WalkDir(os.DirFS(k.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if name == ".git" || strings.HasSuffix(name, ".part") && d.IsDir() {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".part") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(k.dir, name))
		tree[name] = string(data)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return tree
}

// checkBetween makes sure that everything that the kill left is as it was before
// or as the finished command has it, or a missing output.
func (k *killRepo) checkBetween(kind string, before, after, done files) {
	for name, got := range after {
		if got != before[name] && got != done[name] || !has(before, name) && !has(done, name) {
			k.fail("%s is neither the old nor the new one: %d bytes", name, len(got))
		}
	}
	for name := range before {
		if _, there := after[name]; !there && (kind == "add" || !isOutput(name)) {
			k.fail("%s is gone", name)
		}
	}
	for _, name := range killSources {
		if after[name] != before[name] {
			k.fail("%s was changed", name)
		}
	}
	if after["kept.lock"] == before["kept.lock"] {
		k.sawOld++
	} else {
		k.sawNew++
	}
}

func has(tree files, name string) bool { _, ok := tree[name]; return ok }

func isOutput(name string) bool {
	return slices.ContainsFunc(killOutputs, func(out string) bool { return name == out || strings.HasPrefix(name, out+"/") })
}

func (k *killRepo) checkSame(want, got files) {
	for name := range want {
		if got[name] != want[name] {
			k.fail("after the restore %s is not what it was", name)
		}
	}
	for name := range got {
		if !has(want, name) {
			k.fail("after the restore there is %s", name)
		}
	}
}

// checkStored reads everything that a lock names out of the store, and hashes it.
func (k *killRepo) checkStored(text string) {
	store, err := cas.OpenForeign(filepath.Join(k.dir, ".git/kept/store"))
	if err == nil {
		err = lockStored(store, text)
	}
	if err != nil {
		k.fail("the lock: %v", err)
	}
}

// checkClean makes sure that nothing lies about where a user would see it.
func (k *killRepo) checkClean() {
	status := k.run("git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=all", "--ignored=matching")
	for line := range strings.Lines(status) {
		state, name := line[:2], strings.TrimSpace(line[3:])
		switch {
		case state == " M" && (name == "kept.lock" || name == "params.toml"):
		case state == "!!" && (strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "models/")):
		case state == "!!" && (name == "metrics.json" || strings.HasSuffix(name, ".part")):
		default:
			k.fail("git status shows %q", strings.TrimSpace(line))
		}
	}
	for _, name := range []string{"index.lock", "HEAD.lock", "config.lock"} {
		if _, err := os.Lstat(filepath.Join(k.dir, ".git", name)); err == nil {
			k.fail("a stray .git/%s", name)
		}
	}
}

func (k *killRepo) fail(format string, args ...any) {
	k.t.Helper()
	k.t.Errorf(k.what+": "+format, args...)
}
