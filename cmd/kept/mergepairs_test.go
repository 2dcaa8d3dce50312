package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// pairs is the number of generated pairs of branches.
const pairs = 300

// kinds of pairs, by what the two branches do.
const (
	anything = iota // both do what they like
	disjoint        // they touch different blocks
	rivals          // both rerun one stage, with other outcomes
	kinds
)

// pair is two branches that diverge from one commit.
type pair struct {
	kind               int
	base, ours, theirs *lockfile.Lock
	// commits are the ids of the three.
	commits [3]string
}

// TestMergePairs merges generated branches with real Git, with the driver and
// as a server without one does, and compares each result with what a merge
// block by block has to give.
func TestMergePairs(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := newSandbox(t).in("repo")
	s.mkdir()
	s.run("git", "init", "-q")
	list := make([]*pair, pairs)
	for i := range list {
		list[i] = newPair(random, i%kinds)
	}
	s.importPairs(list)
	s.run("git", "reset", "-q", "--hard", list[0].commits[0])
	s.run("kept", "init")
	for _, driver := range drivers {
		driver.set(s)
		withDriver := driver.name == "with the driver"
		count := map[string]int{}
		results := s.mergeTrees(list)
		for i, p := range list {
			if what := p.check(results[i].data, results[i].clean, withDriver, count); what != "" {
				t.Errorf("pair %d %s: %s\n--- base\n%s--- ours\n%s--- theirs\n%s--- merged\n%s", i, driver.name, what,
					p.base.Marshal(), p.ours.Marshal(), p.theirs.Marshal(), results[i].data)
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%s: %v", driver.name, count)
		if withDriver && (count["spliced"] > 0 || count["clean, disjoint"] != pairs/kinds || count["conflict, rivals"] != pairs/kinds) {
			t.Errorf("with the driver: %v", count)
		}
		// merge-tree and merge are two ways into Git.
		for i := range 15 {
			out, err := s.tryMerge(list[i])
			if (err == nil) != results[i].clean {
				t.Errorf("pair %d: git merge: %v, git merge-tree clean: %v\n%s", i, err, results[i].clean, out)
			}
			if got := s.read("kept.lock"); err == nil && got != string(results[i].data) {
				t.Errorf("pair %d: git merge and git merge-tree differ:\n%s\n%s", i, got, results[i].data)
			}
			s.run("git", "reset", "-q", "--hard")
		}
	}
}

func (s *sandbox) mkdir() { s.t.Helper(); s.in("..").write("repo/.keep", "") }

func (s *sandbox) tryMerge(p *pair) (string, error) {
	s.run("git", "checkout", "-q", "-f", "--detach", p.commits[1])
	return s.try("git", "merge", "-q", "--no-edit", "--no-verify", p.commits[2])
}

// check compares a merged lock with what is right, and returns what is wrong.
func (p *pair) check(data []byte, clean, withDriver bool, count map[string]int) string {
	want, open := p.union()
	clash := p.clashes(want, open)
	name := [...]string{"anything", "disjoint", "rivals"}[p.kind]
	if !clean {
		count["conflict, "+name]++
		if withDriver && len(open) == 0 && !clash {
			return "a conflict where there is none"
		}
		return p.checkConflict(data, want, open, clash, withDriver)
	}
	count["clean, "+name]++
	if len(open) > 0 {
		return fmt.Sprintf("no conflict although both changed %v", open)
	}
	lock, err := lockfile.Parse(data)
	var spliced *lockfile.SplicedError
	switch {
	case errors.As(err, &spliced):
		count["spliced"]++
		return ""
	case errors.Is(err, cas.ErrPath) && clash && !withDriver:
		count["two artifacts at one path, refused"]++
		return ""
	case err != nil:
		return err.Error()
	case clash:
		return "two artifacts at one place"
	}
	canonical := lock.Marshal()
	if !bytes.Equal(canonical, data) {
		count["not canonical"]++
		if withDriver {
			return "not canonical"
		}
	}
	if !bytes.Equal(canonical, want.Marshal()) {
		return "not what the branches measured; want\n" + string(want.Marshal())
	}
	return ""
}

// checkConflict settles a conflict as `kept resolve` does.
func (p *pair) checkConflict(data []byte, want *lockfile.Lock, open []string, clash, withDriver bool) string {
	versions := &lockfile.Versions{Base: p.base.Marshal(), Ours: p.ours.Marshal(), Theirs: p.theirs.Marshal()}
	for _, v := range []*lockfile.Versions{versions, nil} {
		if v == nil && !withDriver {
			continue // The markers of a text merge do not tell all.
		}
		u, err := lockfile.ParseUnmerged(data, v)
		if err != nil {
			return err.Error()
		}
		got := slices.Sorted(slices.Values(u.Names()))
		missed := slices.ContainsFunc(open, func(name string) bool { return !slices.Contains(got, name) })
		if missed || !clash && len(got) != len(open) {
			return fmt.Sprintf("resolve finds %v in conflict, want %v", got, open)
		}
		again, err := u.Marshal(lockfile.MergeOptions{Ours: "ours", Theirs: "theirs"})
		if err != nil {
			return err.Error()
		}
		if withDriver && !bytes.Equal(again, data) {
			return "resolve writes another file than the driver:\n" + string(again)
		}
		other := *u
		other.Settled = copyLock(u.Settled)
		for len(u.Conflicts) > 0 {
			u.Settle(u.Conflicts[0], u.Conflicts[0].Ours)
			other.Settle(other.Conflicts[0], other.Conflicts[0].Theirs)
		}
		if _, err := other.Marshal(lockfile.MergeOptions{}); err != nil {
			return "settled with theirs: " + err.Error()
		}
		done, err := u.Marshal(lockfile.MergeOptions{})
		if err != nil {
			return "settled with ours: " + err.Error()
		}
		if clash {
			continue
		}
		full := settled(want, open, p.ours)
		if !bytes.Equal(done, full.Marshal()) {
			return "settled with ours:\n" + string(done) + "want\n" + string(full.Marshal())
		}
	}
	return ""
}

// clashes reports whether two artifacts would lie at one path, however the
// conflicts are settled.
func (p *pair) clashes(want *lockfile.Lock, open []string) bool {
	return settled(want, open, p.ours).Check() != nil || settled(want, open, p.theirs).Check() != nil
}

// settled returns a merge with the blocks in conflict as one side has them.
func settled(merged *lockfile.Lock, open []string, side *lockfile.Lock) *lockfile.Lock {
	full := copyLock(merged)
	for _, name := range open {
		if data, ok := strings.CutPrefix(name, "data:"); ok {
			put(full.Artifacts, data, side.Artifacts[data])
		} else {
			put(full.Stages, name, side.Stages[name])
		}
	}
	return full
}

// union is the merge block by block, and what both sides changed differently.
func (p *pair) union() (*lockfile.Lock, []string) {
	merged := lockfile.New()
	var open []string
	three(p.base.Stages, p.ours.Stages, p.theirs.Stages, merged.Stages, func(name string, s *lockfile.Stage) string { return s.Digest(name).String() },
		func(name string) { open = append(open, name) })
	three(p.base.Artifacts, p.ours.Artifacts, p.theirs.Artifacts, merged.Artifacts, func(_ string, a *lockfile.Artifact) string { return fmt.Sprint(*a) },
		func(name string) { open = append(open, "data:"+name) })
	slices.Sort(open)
	return merged, open
}

func three[E any](base, ours, theirs, into map[string]*E, text func(string, *E) string, conflict func(string)) {
	names := map[string]bool{}
	for _, m := range []map[string]*E{base, ours, theirs} {
		for name := range m {
			names[name] = true
		}
	}
	version := func(m map[string]*E, name string) string {
		if m[name] == nil {
			return ""
		}
		return text(name, m[name])
	}
	for name := range names {
		b, o, t := version(base, name), version(ours, name), version(theirs, name)
		switch {
		case o == t, t == b:
			put(into, name, ours[name])
		case o == b:
			put(into, name, theirs[name])
		default:
			conflict(name)
		}
	}
}

func put[E any](into map[string]*E, name string, e *E) {
	if e != nil {
		into[name] = e
	}
}

// importPairs commits all locks with one Git.
func (s *sandbox) importPairs(list []*pair) {
	s.t.Helper()
	var in bytes.Buffer
	mark := 0
	commit := func(lock *lockfile.Lock, from int) int {
		mark++
		fmt.Fprintf(&in, "commit refs/heads/pairs\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 1\nx\n", mark, 1700000000+mark)
		if from > 0 {
			fmt.Fprintf(&in, "from :%d\n", from)
		}
		data := lock.Marshal()
		fmt.Fprintf(&in, "deleteall\nM 100644 inline kept.lock\ndata %d\n%s\nM 100644 inline .gitattributes\ndata 43\nkept.lock text eol=lf merge=kept diff=kept\n\n\n", len(data), data)
		if from == 0 {
			fmt.Fprintf(&in, "reset refs/heads/pairs\nfrom :%d\n\n", mark)
		}
		return mark
	}
	for _, p := range list {
		fmt.Fprint(&in, "reset refs/heads/pairs\n\n")
		base := commit(p.base, 0)
		commit(p.ours, base)
		commit(p.theirs, base)
	}
	in.WriteString("done\n")
	cmd := exec.Command("git", "fast-import", "--quiet", "--force", "--done", "--export-marks=../marks")
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, &in
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	ids := map[string]string{}
	for line := range strings.Lines(s.read("../marks")) {
		mark, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		ids[mark] = id
	}
	for i, p := range list {
		for j := range p.commits {
			p.commits[j] = ids[fmt.Sprintf(":%d", 3*i+j+1)]
		}
	}
}

type merged struct {
	data  []byte
	clean bool
}

// mergeTrees merges every pair and returns the locks that Git makes of them.
func (s *sandbox) mergeTrees(list []*pair) []merged {
	s.t.Helper()
	results := make([]merged, len(list))
	for i, p := range list {
		out, err := s.try("git", "merge-tree", "--write-tree", "--no-messages", p.commits[1], p.commits[2])
		tree, _, _ := strings.Cut(out, "\n")
		if len(tree) != 40 {
			s.t.Fatalf("git merge-tree: %v\n%s", err, out)
		}
		results[i] = merged{[]byte(s.run("git", "cat-file", "blob", tree+":kept.lock")), err == nil}
	}
	return results
}

func newPair(random *rand.Rand, kind int) *pair {
	g := &generator{Rand: random}
	p := &pair{kind: kind, base: lockfile.New()}
	for range 2 + random.IntN(4) {
		g.addStage(p.base)
	}
	for range random.IntN(3) {
		g.addData(p.base)
	}
	p.ours, p.theirs = copyLock(p.base), copyLock(p.base)
	names := slices.Sorted(maps.Keys(p.base.Stages))
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	half := len(names) / 2
	switch kind {
	case anything:
		g.change(p.ours, names[:1+g.IntN(len(names))], g.IntN(2) == 0)
		g.change(p.theirs, names[g.IntN(len(names)):], g.IntN(2) == 0)
	case disjoint:
		g.change(p.ours, names[:half], true)
		g.change(p.theirs, names[half:], true)
	case rivals:
		for same := true; same; same = p.ours.Stages[names[0]].Digest("") == p.theirs.Stages[names[0]].Digest("") {
			g.rerun(p.ours, names[0])
			g.rerun(p.theirs, names[0])
		}
		g.change(p.ours, names[1:], true)
		g.change(p.theirs, names[1:], true)
	}
	return p
}

func copyLock(l *lockfile.Lock) *lockfile.Lock {
	return &lockfile.Lock{Stages: maps.Clone(l.Stages), Artifacts: maps.Clone(l.Artifacts)}
}

// generator makes locks. All names come from one sequence, so that only what
// shares names collides.
type generator struct {
	*rand.Rand
	next int
}

func (g *generator) name(prefix string) string {
	g.next++
	return fmt.Sprintf("%c%s%d", 'a'+rune(g.IntN(26)), prefix, g.next)
}

func (g *generator) digest() (d cas.Digest) {
	for i := range d {
		d[i] = byte(1 + g.IntN(255))
	}
	return d
}

func (g *generator) addStage(l *lockfile.Lock) {
	name := g.name("stage")
	l.Stages[name] = &lockfile.Stage{Command: "python " + name + ".py", Code: map[string]*lockfile.Input{name + ".py": {Hash: g.digest()}}}
	for range 3 {
		g.rerun(l, name)
	}
}

func (g *generator) addData(l *lockfile.Lock) {
	name := g.name("data")
	l.Artifacts[name] = &lockfile.Artifact{Path: "data/" + name, Hash: g.digest(), Size: g.Int64N(1000)}
}

// rerun puts another outcome in the place of a stage's block.
func (g *generator) rerun(l *lockfile.Lock, name string) {
	old := l.Stages[name]
	s := &lockfile.Stage{Command: old.Command, Code: maps.Clone(old.Code), Inputs: maps.Clone(old.Inputs), Artifacts: maps.Clone(old.Artifacts),
		Metrics: maps.Clone(old.Metrics), Params: maps.Clone(old.Params), Environment: old.Environment}
	for range 1 + g.IntN(5) {
		digit := g.IntN(5)
		switch g.IntN(7) {
		case 0:
			set(&s.Metrics, fmt.Sprintf("m%d", digit), lockfile.Value(g.Float64()))
		case 1:
			delete(s.Metrics, fmt.Sprintf("m%d", digit))
		case 2:
			set(&s.Params, fmt.Sprintf("p.%d", digit), lockfile.Value(g.Int64N(100)))
		case 3:
			set(&s.Artifacts, fmt.Sprintf("a%d", digit), &lockfile.Artifact{Path: fmt.Sprintf("out/%s/a%d", name, digit), Hash: g.digest(), Size: g.Int64N(100)})
		case 4:
			delete(s.Artifacts, fmt.Sprintf("a%d", digit))
		case 5:
			set(&s.Inputs, fmt.Sprintf("in/%d", digit), &lockfile.Input{Hash: g.digest(), Size: 3, Sized: true})
		case 6:
			s.Environment = &lockfile.Environment{Platform: "linux/amd64", Runtime: fmt.Sprintf("python 3.%d", digit)}
		}
	}
	l.Stages[name] = s
	if s.Digest(name) == old.Digest(name) {
		g.rerun(l, name)
	}
}

func set[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// change does to a lock what a branch does. Of the stages there are it touches
// only names, and each once; ownData keeps it from the data there is.
func (g *generator) change(l *lockfile.Lock, names []string, ownData bool) {
	for i, name := range names {
		if i > 0 && g.IntN(2) == 0 {
			continue
		}
		switch g.IntN(8) {
		case 0:
			delete(l.Stages, name)
		case 1: // Renamed: its artifacts stay where they are.
			renamed := g.name("renamed")
			l.Stages[renamed] = l.Stages[name]
			delete(l.Stages, name)
		case 2:
			g.addStage(l)
		default:
			g.rerun(l, name)
		}
	}
	if g.IntN(3) == 0 {
		g.addData(l)
	}
	if g.IntN(4) == 0 {
		g.addStage(l)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Artifacts)) {
		switch {
		case ownData || g.IntN(2) == 0:
		case g.IntN(3) == 0:
			delete(l.Artifacts, name)
		default:
			l.Artifacts[name] = &lockfile.Artifact{Path: l.Artifacts[name].Path, Hash: g.digest(), Size: g.Int64N(1000)}
		}
	}
}
