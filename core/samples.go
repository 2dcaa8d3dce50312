package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// Bounds on what is read of the recorded runs.
const (
	maxSampledRuns = 200     // the newest ones
	maxRecord      = 4 << 20 // bytes of a run.json
)

// samples returns what the recorded runs of this machine measured that did what
// the blocks of two locks did. Runs differ from a block in no more than their
// seeds, and in what the program drew by chance.
func (p *Project) samples(base, head *lockfile.Lock) (ofBase, ofHead metrics.Samples) {
	ofBase, ofHead = metrics.Samples{}, metrics.Samples{}
	seen := [2]map[string]bool{{}, {}}
	for _, r := range p.lockedRuns() {
		for i, side := range []struct {
			lock *lockfile.Lock
			into metrics.Samples
		}{{base, ofBase}, {head, ofHead}} {
			block := side.lock.Stages[r.stage]
			// The same seeds that gave the same result are one draw, however often it was made.
			if block == nil || !r.repeats(block) || seen[i][r.draw()] {
				continue
			}
			if len(r.seeds) > 0 {
				seen[i][r.draw()] = true
			}
			r.addTo(side.into)
		}
	}
	dropAmbiguous(ofBase, base)
	dropAmbiguous(ofHead, head)
	return ofBase, ofHead
}

// dropAmbiguous forgets the names that two metrics have: key "b.c" of stage a and
// key "c" of stage a.b.
func dropAmbiguous(samples metrics.Samples, lock *lockfile.Lock) {
	names := metricNames(lock)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			delete(samples, names[i])
		}
	}
}

// RanHere reports whether a run of this experiment that was locked is known here.
func (p *Project) RanHere() bool { return len(p.lockedRuns()) > 0 }

// lockedRun is a run of the past that locked a block.
type lockedRun struct {
	stage string
	block *lockfile.Stage
	seeds []string
}

// lockedRuns returns the newest runs of this experiment that were locked. A
// record that cannot be read tells nothing, and is no reason to fail.
func (p *Project) lockedRuns() []lockedRun {
	entries, err := os.ReadDir(p.Local.Runs())
	if err != nil {
		return nil
	}
	var runs []lockedRun
	// The names begin with the time.
	for _, entry := range entries[max(0, len(entries)-maxSampledRuns):] {
		dir := filepath.Join(p.Local.Runs(), entry.Name())
		data, err := readBounded(filepath.Join(dir, "run.json"), maxRecord)
		var record struct {
			Stage, Experiment, Status string
			Seeds                     []string
		}
		if err != nil || json.Unmarshal(data, &record) != nil {
			continue
		}
		if record.Status != statusLocked || record.Experiment != path.Clean(p.Rel) {
			continue
		}
		data, err = readBounded(filepath.Join(dir, lockfile.Name), lockfile.MaxSize)
		if err != nil {
			continue
		}
		lock, err := lockfile.Parse(data)
		if err != nil || lock.Stages[record.Stage] == nil {
			continue
		}
		runs = append(runs, lockedRun{record.Stage, lock.Stages[record.Stage], record.Seeds})
	}
	return runs
}

// repeats reports whether the run did what the block records: everything that
// could explain another value is the same, but for the seeds.
func (r lockedRun) repeats(block *lockfile.Stage) bool {
	return r.block.Command == block.Command &&
		maps.EqualFunc(r.block.Code, block.Code, sameInput) &&
		maps.EqualFunc(r.block.Inputs, block.Inputs, sameInput) &&
		maps.EqualFunc(r.unseeded(r.block), r.unseeded(block), lockfile.EqualValues) &&
		sameEnvironment(r.block.Environment, block.Environment)
}

func sameInput(a, b *lockfile.Input) bool { return a.Hash == b.Hash && a.Folder == b.Folder }

func sameEnvironment(a, b *lockfile.Environment) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Packages == b.Packages && a.Platform == b.Platform && a.Runtime == b.Runtime && maps.Equal(a.Files, b.Files)
}

// unseeded returns the params of a block without the seeds.
func (r lockedRun) unseeded(block *lockfile.Stage) map[string]lockfile.Value {
	params := maps.Clone(block.Params)
	maps.DeleteFunc(params, func(key string, _ lockfile.Value) bool { return slices.Contains(r.seeds, key) })
	return params
}

// draw tells runs with other seeds or another result apart.
func (r lockedRun) draw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.stage, r.block.Result)
	params := r.block.AllParams()
	for _, key := range slices.Sorted(slices.Values(r.seeds)) {
		if value, ok := params[key]; ok {
			fmt.Fprintf(&b, " %q=%s", key, lockfile.FormatValue(value))
		}
	}
	return b.String()
}

func (r lockedRun) addTo(samples metrics.Samples) {
	for key, value := range r.block.Metrics {
		name := metrics.Name(r.stage, key)
		if n, ok := lockfile.Float(value); ok {
			samples[name] = append(samples[name], n)
		}
	}
}
