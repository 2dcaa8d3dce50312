// Command benchstore times kept's store beside others that keep large data: the
// same bytes safely into each one's store and back into the working tree.
//
//	for each round:
//	    for each contender:  new repository, data copied in
//	                         sync; add;  remove; sync; restore;  compare;  …
//	table:  medians, kept / fastest peer, kept / physical, the target, whether it holds
//
// A group is a table. A contender is a program with the commands that a careful
// user types. A trial is one contender's turn in one round. A row is one thing
// that is measured, with a column per contender. Samples go to stderr as they
// come, tables in Markdown to stdout. It is a measurement, not a test: a target
// that is missed is said and fails nothing; a contender that fails is said, too,
// and makes the exit code 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	b := &bench{out: os.Stdout, log: os.Stderr}
	flag.StringVar(&b.kept, "kept", "bin/kept", "the kept `program`")
	flag.StringVar(&b.dvc, "dvc", "", "the `python` of an environment with DVC")
	flag.StringVar(&b.arrow, "arrow", "", "the `python` of an environment with pyarrow, for Parquet")
	flag.IntVar(&b.rounds, "n", 5, "`rounds`")
	flag.Int64Var(&b.size, "size", 1<<30, "`bytes` of the weights; the files of sizes have an eighth")
	flag.IntVar(&b.files, "files", 50_000, "small `files`; the group million has 2 and 20 times as many")
	only := flag.String("only", "", "measure one `group`: weights, files, start, sizes; or million or remote, which are left out otherwise")
	flag.StringVar(&b.server.url, "s3", "", "the `endpoint` of an S3 server for the group remote, credentials in the environment")
	flag.StringVar(&b.server.dir, "s3-dir", "", "the `folder` in which it keeps its buckets")
	flag.StringVar(&b.server.log, "s3-log", "", "the `file` to which it writes a line for each request")
	flag.BoolVar(&b.keep, "keep", false, "leave the temporary folder, with the repositories of the last round")
	touching := flag.Bool("touch", false, "use memory and free it, and nothing else: what is done before every sample")
	flag.Parse()
	if *touching {
		if err := touch(); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b.ctx = ctx
	err := b.main(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

// bench is what the command line says, and where the data is.
type bench struct {
	ctx              context.Context
	out, log         *os.File
	kept, dvc, arrow string
	rounds, files    int
	size             int64
	keep             bool
	server           server
	// dir is the temporary folder, or that of the group in it.
	dir string
	// failed are the contenders' errors, which end their part and nobody else's.
	failed []error
}

func (b *bench) main(only string) (err error) {
	groups := []struct {
		name string
		run  func() error
	}{{"weights", b.weights}, {"files", b.smallFiles}, {"start", b.start}, {"sizes", b.sizes}, {"million", b.million}, {"remote", b.remote}}
	known := only == ""
	for _, g := range groups {
		known = known || g.name == only
	}
	if !known || b.rounds < 1 || b.files < 1 || b.size < minSize {
		return fmt.Errorf("no group %q, or -n or -files below 1, or -size below %d", only, minSize)
	}
	if b.kept, err = filepath.Abs(b.kept); err != nil {
		return err
	}
	if _, err := os.Stat(b.kept); err != nil {
		return fmt.Errorf("%w (make build)", err)
	}
	if b.dir, err = os.MkdirTemp("", "kept-benchstore-"); err != nil {
		return err
	}
	root := b.dir
	if b.keep {
		fmt.Fprintln(b.log, "data and repositories:", root)
	} else {
		defer func() { err = errors.Join(err, removeAll(root)) }()
	}
	if err := b.isolate(); err != nil {
		return err
	}
	for _, g := range groups {
		if only == g.name || only == "" && g.name != "million" && g.name != "remote" {
			if err := b.group(filepath.Join(root, g.name), g.run); err != nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
		}
	}
	return errors.Join(b.failed...)
}

// group runs a group in a folder of its own.
func (b *bench) group(dir string, run func() error) error {
	b.dir = dir
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := run(); err != nil || b.keep {
		return err
	}
	return removeAll(dir)
}

// isolate keeps the user's configuration and caches out of the contenders' sight,
// and theirs out of the user's home, and puts kept on the PATH that hooks see.
func (b *bench) isolate() error {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range []string{"GIT_", "KEPT_", "XDG_", "RESTIC_", "BORG_", "DVC_"} {
			if strings.HasPrefix(name, prefix) {
				os.Unsetenv(name)
			}
		}
	}
	home := filepath.Join(b.dir, "home")
	config := "[user]\n\tname = Bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
	if err := writeFile(filepath.Join(home, ".gitconfig"), []byte(config)); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"HOME":                home,
		"GIT_CONFIG_NOSYSTEM": "1",
		"PATH":                filepath.Dir(b.kept) + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"RESTIC_PASSWORD":     "bench",
		"DVC_SITE_CACHE_DIR":  filepath.Join(home, ".cache", "dvc"),
		"DVC_NO_ANALYTICS":    "1",
		"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
	} {
		os.Setenv(name, value)
	}
	return nil
}
