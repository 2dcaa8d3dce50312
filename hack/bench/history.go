package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

const (
	historyCommits = 10_000
	// lockEvery is how many commits there are for each that changes the lock.
	lockEvery = 5
	// sources is the number of source files, in folders of ten.
	sources = 1000
)

const historyConfig = `[stage.train]
command = "python train.py"
code = ["src/000/000.py", "src/001/010.py"]
inputs = ["data/reviews.tsv"]
params = ["params.yaml"]
metrics = ["metrics.json"]
artifacts = { model = "models/model.pkl", vectorizer = "models/vectorizer.pkl" }

[stage.prepare]
command = "python prepare.py"
code = ["src/002/020.py"]
artifacts = { reviews = "data/reviews.tsv" }
`

// historyLock is version i of the lock: of two stages, of which one is measured
// again each time.
func historyLock(i int) *lockfile.Lock {
	sum := func(what string, i int) cas.Digest { return cas.Sum(fmt.Appendf(nil, "%s %d", what, i)) }
	environment := &lockfile.Environment{Packages: sum("packages", i/100), Platform: "linux/amd64", Runtime: "python 3.11.7"}
	lock := lockfile.New()
	lock.Stages["prepare"] = &lockfile.Stage{
		Command:     "python prepare.py",
		Code:        map[string]*lockfile.Input{"src/002/020.py": {Hash: sum("prepare", i/50)}},
		Environment: environment,
		Artifacts:   map[string]*lockfile.Artifact{"reviews": {Path: "data/reviews.tsv", Hash: sum("reviews", i/50), Size: 204_759}},
	}
	lock.Stages["train"] = &lockfile.Stage{
		Command: "python train.py",
		Code: map[string]*lockfile.Input{
			"src/000/000.py": {Hash: sum("train", i)},
			"src/001/010.py": {Hash: sum("features", i/10)},
		},
		Inputs:      map[string]*lockfile.Input{"data/reviews.tsv": {Hash: sum("reviews", i/50), Size: 204_759, Sized: true}},
		Environment: environment,
		Params:      historyParams(i),
		Metrics:     historyMetrics(i),
		Artifacts: map[string]*lockfile.Artifact{
			"model":      {Path: "models/model.pkl", Hash: sum("model", i), Size: 48_213},
			"vectorizer": {Path: "models/vectorizer.pkl", Hash: sum("vectorizer", i/10), Size: 18_000},
		},
	}
	return lock
}

func historyParams(i int) map[string]lockfile.Value {
	return map[string]lockfile.Value{
		"seed": int64(i % 7), "lr": float64(1+i%9) / 1000, "epochs": int64(20), "batch": int64(64),
		"tfidf.ngram_max": int64(1 + i%3), "tfidf.min_df": int64(2), "model.depth": int64(6), "model.width": int64(256),
	}
}

func historyMetrics(i int) map[string]lockfile.Value {
	x := float64(i)
	return map[string]lockfile.Value{
		"accuracy": math.Round((0.8+0.05*math.Sin(x/90)+0.01*math.Sin(x))*10_000) / 10_000,
		"f1":       math.Round((0.78+0.05*math.Sin(x/90)+0.01*math.Cos(x))*10_000) / 10_000,
		"loss":     math.Round((0.5-0.1*math.Sin(x/90))*100_000) / 100_000,
		"samples":  int64(25_000),
	}
}

// history makes a repository with a long history: each commit changes a source
// file and every lockEvery-th the lock.
func history(dir string) error {
	if err := run("", "git", "init", "-q", dir); err != nil {
		return err
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriter(stdin)
	file := func(name string, data []byte) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(data), data)
	}
	for i := range historyCommits {
		message := fmt.Sprintf("Change number %d", i)
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Bench <bench@example.com> %d +0000\ndata %d\n%s\n", 1_600_000_000+i*600, len(message), message)
		if i == 0 {
			file("kept.toml", []byte(historyConfig))
			for n := range sources {
				file(source(n), []byte("pass\n"))
			}
		}
		file(source(i%sources), fmt.Appendf(nil, "print(%d)\n", i))
		if i%lockEvery == 0 {
			file(lockfile.Name, historyLock(i/lockEvery).Marshal())
		}
	}
	err = w.Flush()
	stdin.Close()
	if failed := cmd.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("git fast-import: %w", err)
	}
	return run(dir, "git", "checkout", "-q", "main")
}

func source(n int) string { return fmt.Sprintf("src/%03d/%03d.py", n/10, n) }

// historyPairs compare with the one command of Git that shows what a lock was.
func historyPairs(dir, kept string) []pair {
	git := command{dir, []string{"git", "log", "-p", "--", lockfile.Name}}
	return []pair{
		{name: "kept log train.accuracy / git log -p", a: command{dir, []string{kept, "log", "train.accuracy"}}, b: git},
		{name: "kept log / git log -p", a: command{dir, []string{kept, "log"}}, b: git},
		{name: "kept blame / git log -p", a: command{dir, []string{kept, "blame"}}, b: git},
		{name: "kept diff HEAD~5000 HEAD / git log -p", a: command{dir, []string{kept, "diff", "HEAD~5000", "HEAD"}}, b: git},
	}
}

const dvcConfig = `stages:
  train:
    cmd: python train.py
    deps: [src/000/000.py]
    params: [params.yaml:]
    metrics:
      - metrics.json:
          cache: false
`

// dvcProject makes a repository with the same params and metrics in the files
// that DVC reads, and a lock, in two commits.
func dvcProject(dir, python string) error {
	if err := run("", "git", "init", "-q", dir); err != nil {
		return err
	}
	if err := run(dir, python, "-m", "dvc", "init", "-q"); err != nil {
		return err
	}
	if err := run(dir, python, "-m", "dvc", "config", "core.analytics", "false"); err != nil {
		return err
	}
	for i := range 2 {
		lock := historyLock(1 + i)
		files := map[string][]byte{"kept.toml": []byte(historyConfig), lockfile.Name: lock.Marshal(), "dvc.yaml": []byte(dvcConfig), "src/000/000.py": []byte("pass\n")}
		for name, values := range map[string]map[string]lockfile.Value{"params.yaml": historyParams(1 + i), "metrics.json": historyMetrics(1 + i)} {
			files[name] = []byte("{")
			separator := ""
			for key, value := range values {
				files[name] = fmt.Appendf(files[name], "%s\n  %q: %s", separator, key, lockfile.FormatValue(value))
				separator = ","
			}
			files[name] = append(files[name], "\n}\n"...)
		}
		for name, data := range files {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				return err
			}
			if err := os.WriteFile(name, data, 0o666); err != nil {
				return err
			}
		}
		for _, c := range [][]string{{"git", "add", "-A"}, {"git", "commit", "-q", "-m", "change"}} {
			if err := run(dir, c...); err != nil {
				return err
			}
		}
	}
	return nil
}

func dvcPairs(dir, kept, python string) []pair {
	diff := command{dir, []string{kept, "diff", "HEAD~1", "HEAD"}}
	return []pair{
		{name: "kept diff A B / dvc metrics diff A B", a: diff, b: command{dir, []string{python, "-m", "dvc", "metrics", "diff", "HEAD~1", "HEAD"}}},
		{name: "kept diff A B / dvc params diff A B", a: diff, b: command{dir, []string{python, "-m", "dvc", "params", "diff", "HEAD~1", "HEAD"}}},
	}
}
