// Command bench times kept against git on this machine: what it costs to start,
// to look at a clean experiment, to have the hooks in every checkout, and to
// look through a long history; and against DVC where that is given.
//
//	for each case, 20 times:  run A, run B        (next time: B, A)
//	report:  median A, median B, their ratio, median of the differences, its quartiles
//
// The two of a pair run right after each other, so that what else the machine
// does hits both. Both include starting the process. No threshold: it is a
// measurement, not a test. docs/benchmarks.md says what the figures should be.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is a program with its arguments, run in dir.
type command struct {
	dir  string
	args []string
}

func (c command) String() string {
	return filepath.Base(c.args[0]) + " " + strings.Join(c.args[1:], " ")
}

// pair is a case: a is looked at, b is what it is compared with. before runs
// untimed ahead of every timed run, in that run's folder.
type pair struct {
	name   string
	a, b   command
	before []string
}

func main() {
	kept := flag.String("kept", "", "the kept program (absolute `path`)")
	example := flag.String("example", "examples/sentiment", "the `folder` of the example experiment")
	count := flag.Int("n", 20, "pairs per case")
	files := flag.Int("files", 2000, "files in the artifact folder")
	size := flag.Int64("size", 64<<20, "`bytes` of the large artifact")
	dvc := flag.String("dvc", "", "the `python` of an environment with DVC to compare with (absolute path)")
	only := flag.String("only", "", "make only the `cases` checkout, history or dvc")
	flag.Parse()
	// This program is the command of the stages, too: it makes the artifacts.
	switch {
	case flag.Arg(0) == "make":
		check(makeArtifacts())
		return
	case flag.Arg(0) == "write":
		check(writeFiles(flag.Args()[1:]))
		return
	}
	if !filepath.IsAbs(*kept) {
		fmt.Fprintln(os.Stderr, "error: -kept needs the absolute path of the program (make bench gives it)")
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "kept-bench-")
	check(err)
	b := &benchmark{dir: dir, kept: *kept, example: *example, dvc: *dvc, count: *count, files: *files, size: *size}
	err = b.run(*only)
	os.RemoveAll(dir)
	check(err)
}

// benchmark is what the command line says.
type benchmark struct {
	dir, kept, example, dvc string
	count, files            int
	size                    int64
}

// run makes the repositories of each group of cases and measures these.
func (b *benchmark) run(only string) error {
	if err := isolate(b.dir, b.kept); err != nil {
		return err
	}
	fmt.Printf("%-48s %10s %10s %7s %10s  %s\n", "median of "+strconv.Itoa(b.count)+" pairs", "kept", "other", "ratio", "more", "(quartiles)")
	for _, group := range []struct {
		name  string
		pairs func() ([]pair, error)
	}{{"checkout", b.checkouts}, {"history", b.history}, {"dvc", b.againstDVC}} {
		if only != "" && only != group.name {
			continue
		}
		pairs, err := group.pairs()
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if err := p.measure(b.count); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *benchmark) history() ([]pair, error) {
	dir := filepath.Join(b.dir, "history")
	return historyPairs(dir, b.kept), history(dir)
}

func (b *benchmark) againstDVC() ([]pair, error) {
	if b.dvc == "" {
		return nil, nil
	}
	dir := filepath.Join(b.dir, "dvc")
	return dvcPairs(dir, b.kept, b.dvc), dvcProject(dir, b.dvc)
}

func (b *benchmark) checkouts() ([]pair, error) {
	dir, kept := b.dir, b.kept
	sentiment := filepath.Join(dir, "sentiment")
	if err := recordExample(sentiment, b.example, kept); err != nil {
		return nil, err
	}
	hooked, plain := filepath.Join(dir, "hooked"), filepath.Join(dir, "plain")
	if err := repository(hooked, kept, b.files, b.size); err != nil {
		return nil, err
	}
	// The same commits without kept: a clone has the lock files, but no hooks.
	if err := run(dir, "git", "clone", "-q", hooked, plain); err != nil {
		return nil, err
	}
	for _, branch := range []string{"code", "small", "large"} {
		if err := run(plain, "git", "branch", "-q", branch, "origin/"+branch); err != nil {
			return nil, err
		}
	}
	home := []string{"git", "checkout", "-q", "main"}
	checkout := func(branch string) (a, b command) {
		args := []string{"git", "checkout", "-q", branch}
		return command{hooked, args}, command{plain, args}
	}
	version := command{sentiment, []string{"git", "--version"}}
	pairs := []pair{
		{name: "kept version / git --version", a: command{sentiment, []string{kept, "version"}}, b: version},
		{name: "kept status / git --version", a: command{sentiment, []string{kept, "status"}}, b: version},
		{
			name: fmt.Sprintf("status, %d files in an artifact / git status", b.files),
			a:    command{hooked, []string{kept, "status"}}, b: command{plain, []string{"git", "status"}},
		},
	}
	for _, c := range []struct{ branch, name string }{
		{"main", "checkout of the same branch"},
		{"code", "checkout of a branch with the same lock"},
		{"small", "checkout, 1 of the small files differs"},
		{"large", fmt.Sprintf("checkout, the %d MiB artifact differs", b.size>>20)},
	} {
		a, b := checkout(c.branch)
		pairs = append(pairs, pair{name: c.name, a: a, b: b, before: home})
	}
	return pairs, nil
}

// measure runs the pair count times, after once for the caches, and prints a line.
func (p pair) measure(count int) error {
	var a, b, more []time.Duration
	for i := range count + 1 {
		var ta, tb time.Duration
		var errA, errB error
		if i%2 == 0 {
			ta, errA = p.time(p.a)
			tb, errB = p.time(p.b)
		} else {
			tb, errB = p.time(p.b)
			ta, errA = p.time(p.a)
		}
		if err := errors.Join(errA, errB); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if i > 0 {
			a, b, more = append(a, ta), append(b, tb), append(more, ta-tb)
		}
	}
	ratio := float64(quantile(a, 2)) / float64(quantile(b, 2))
	fmt.Printf("%-48s %10s %10s %6.2fx %10s  (%s, %s)\n", p.name, ms(quantile(a, 2)), ms(quantile(b, 2)),
		ratio, ms(quantile(more, 2)), ms(quantile(more, 1)), ms(quantile(more, 3)))
	return nil
}

func (p pair) time(c command) (time.Duration, error) {
	if p.before != nil {
		if err := run(c.dir, p.before...); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	err := run(c.dir, c.args...)
	return time.Since(start), err
}

// quantile returns the q-th quartile: 2 is the median.
func quantile(d []time.Duration, q int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[(len(sorted)-1)*q/4]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// isolate keeps the user's Git configuration out and puts kept on the PATH that
// hooks see.
func isolate(dir, kept string) error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "KEPT_") {
			os.Unsetenv(name)
		}
	}
	config := filepath.Join(dir, "gitconfig")
	text := "[user]\n\tname = Bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n[maintenance]\n\tauto = false\n"
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		return err
	}
	os.Setenv("GIT_CONFIG_GLOBAL", config)
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	os.Setenv("PATH", filepath.Dir(kept)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return nil
}

// recordExample makes a repository of a copy of the example with a recorded run.
// The example needs packages of Python that a benchmark should not, and what
// kept version and kept status do does not depend on it: so the commands become
// ones of this program that write the same artifacts with other content.
func recordExample(dir, example, kept string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(example)); err != nil {
		return err
	}
	file := filepath.Join(dir, "kept.toml")
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(config)
	for old, outputs := range map[string]string{
		`"python train.py"`:    "models/vectorizer.pkl models/model.pkl",
		`"python evaluate.py"`: "predictions.tsv metrics.json",
	} {
		if !strings.Contains(text, old) {
			return fmt.Errorf("%s: no stage has the command %s", file, old)
		}
		text = strings.ReplaceAll(text, old, strconv.Quote(filepath.ToSlash(self)+" write "+outputs))
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		return err
	}
	for _, c := range [][]string{
		{"git", "init", "-q"}, {kept, "init"}, {kept, "run"}, {"git", "add", "-A"}, {"git", "commit", "-q", "-m", "one"},
	} {
		if err := run(dir, c...); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles is the command of the example's stages.
func writeFiles(names []string) error {
	for i, name := range names {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		data := noise(uint64(i), 40<<10)
		if strings.HasSuffix(name, ".json") {
			data = []byte("{\"accuracy\": 0.8}\n")
		}
		if err := os.WriteFile(name, data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// repository makes a repository whose stage has a folder of small files and one
// large file as artifacts, with four branches: main, code (another source file),
// small (one small file differs) and large (the large file differs).
func repository(dir, kept string, files int, size int64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	config := fmt.Sprintf("[stage.make]\ncommand = %q\nparams = [\"params.toml\"]\nartifacts = { small = \"small\", large = \"large.bin\" }\n",
		filepath.ToSlash(self)+" make")
	steps := []struct{ branch, params, source string }{
		{"main", params(files, size, 1, 1), "one"},
		{"code", params(files, size, 1, 1), "two"},
		{"small", params(files, size, 2, 1), "one"},
		{"large", params(files, size, 1, 2), "one"},
	}
	if err := run(dir, "git", "init", "-q"); err != nil {
		return err
	}
	for i, s := range steps {
		if i > 0 {
			if err := run(dir, "git", "checkout", "-q", "-b", s.branch, "main"); err != nil {
				return err
			}
		}
		for name, text := range map[string]string{"kept.toml": config, "params.toml": s.params, "source.txt": s.source + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				return err
			}
		}
		if i == 0 {
			if err := run(dir, kept, "init"); err != nil {
				return err
			}
		}
		for _, c := range [][]string{{kept, "run"}, {"git", "add", "-A"}, {"git", "commit", "-q", "-m", s.branch}} {
			if err := run(dir, c...); err != nil {
				return err
			}
		}
	}
	return run(dir, "git", "checkout", "-q", "main")
}

func params(files int, size int64, small, large int) string {
	return fmt.Sprintf("files = %d\nsize = %d\nsmall = %d\nlarge = %d\n", files, size, small, large)
}

// makeArtifacts is the stage's command: files of 1 KiB in small/, of which the
// first depends on the parameter small, and large.bin, which depends on large.
func makeArtifacts() error {
	text, err := os.ReadFile("params.toml")
	if err != nil {
		return err
	}
	var files, size, small, large uint64
	if _, err := fmt.Sscanf(string(text), "files = %d\nsize = %d\nsmall = %d\nlarge = %d\n", &files, &size, &small, &large); err != nil {
		return fmt.Errorf("params.toml: %w", err)
	}
	if err := os.MkdirAll("small", 0o777); err != nil {
		return err
	}
	for i := range files {
		seed := i + 1000
		if i == 0 {
			seed = small
		}
		name := filepath.Join("small", fmt.Sprintf("%05d.bin", i))
		if err := os.WriteFile(name, noise(seed, 1024), 0o666); err != nil {
			return err
		}
	}
	return os.WriteFile("large.bin", noise(1_000_000+large, size), 0o666)
}

// noise returns size bytes that no compression makes smaller, the same for a seed.
func noise(seed, size uint64) []byte {
	var key [32]byte
	copy(key[:], strconv.FormatUint(seed, 10))
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // documented never to fail
	return b
}

// run runs a command in dir; its error carries what the command printed.
func run(dir string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command{dir, args}, err, output.String())
	}
	return nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
