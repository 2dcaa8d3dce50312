//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKillsResolve kills resolve and gate --accept at random instants: what they
// edit is as before or whole, and the same command then does its work.
//
//	FAULTS_KILLS=100 FAULTS_SEED=1 go test ./cmd/kept -run TestKillsResolve
func TestKillsResolve(t *testing.T) {
	rounds := envInt(t, "FAULTS_KILLS", 9)
	seed := envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000))
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip("no subreaper: ", err)
	}
	k := newMergeKillRepo(t)

	accept := []string{"gate", "--base", "HEAD", "--accept", "train.score", "--reason", strings.Repeat("x", 1000)}
	landed := 0
	for i := range rounds {
		k.rng = rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		args := [][]string{{"resolve", "--theirs"}, {"resolve", "--rerun"}, accept}[i%3]
		k.what = fmt.Sprintf("FAULTS_SEED=%d, round %d, %s %s", seed, i, args[0], args[1])
		k.run("git", "reset", "-q", "--hard", "main")
		edited := "kept.lock"
		if args[0] == "gate" {
			k.write("params.toml", "version=2\n")
			k.run("kept", "run")
			edited = "kept.toml"
		} else {
			k.fails("git", "merge", "-q", "other")
			k.run("git", "checkout", "-q", "--theirs", "params.toml")
			k.run("git", "add", "params.toml")
		}
		before := k.snapshot()
		if k.kill(args) {
			landed++
		}
		after := k.snapshot()
		if out, err := k.try("kept", "status"); err != nil {
			k.fail("status: %v\n%s", err, out)
		}
		// With nothing left to accept or to settle it is done already.
		out, err := k.try("kept", args...)
		if err != nil {
			k.fail("again: %v\n%s", err, out)
		}
		done := k.snapshot()
		// Two runs of a stage are the same result.
		if got := after[edited]; got != before[edited] && got != done[edited] {
			k.fail("%s is neither the old nor the new one: %d bytes\n%s", edited, len(got), got)
		}
		if strings.Contains(done["kept.lock"], "<<<<") {
			k.fail("kept.lock is not settled:\n%s", out)
		}
		k.checkStored(done["kept.lock"])
		for name := range done {
			if strings.Contains(name, ".tmp") {
				k.fail("%s is left over", name)
			}
		}
		for _, name := range []string{"kept.toml", "params.toml", "train.sh"} {
			if name != edited && after[name] != before[name] {
				k.fail("%s was changed", name)
			}
		}
		if _, err := os.Lstat(filepath.Join(k.dir, ".git/index.lock")); err == nil {
			k.fail("a stray .git/index.lock")
		}
		if t.Failed() {
			t.Fatalf("stopped after %s", k.what)
		}
	}
	t.Logf("%d kills, %d while the command ran; FAULTS_SEED=%d", rounds, landed, seed)
}

// newMergeKillRepo is a repository whose branches main and other are in conflict.
func newMergeKillRepo(t *testing.T) *killRepo {
	s := newSandbox(t).in("work")
	k := &killRepo{sandbox: s, took: map[string]time.Duration{"resolve": 60 * time.Millisecond, "gate": 15 * time.Millisecond}}
	s.write("kept.toml", `[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
params    = ["params.toml"]
metrics   = ["metrics.json"]
artifacts = { model = "models/model.bin" }

[gate."train.score"]
max_drop = 1
`)
	s.write("train.sh", `set -e
. ./params.toml
mkdir -p models
yes "model $version" | head -c 500000 > models/model.bin
echo "{\"score\": $version}" > metrics.json
`)
	s.write(".gitignore", "metrics.json\n/models/\n")
	s.run("git", "init", "-q", "-b", "main")
	s.run("kept", "init")
	for _, branch := range []struct{ name, version string }{{"main", "1"}, {"other", "50"}, {"main", "9"}} {
		if branch.name == "other" {
			s.run("git", "checkout", "-q", "-b", "other")
		} else if branch.version == "9" {
			s.run("git", "checkout", "-q", "main")
		}
		s.write("params.toml", "version="+branch.version+"\n")
		s.run("kept", "run")
		s.run("git", "add", "-A")
		s.run("git", "commit", "-q", "-m", "version "+branch.version)
	}
	return k
}
