package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// safeOptions keep Git from running what a repository brings, and from looking
// further than kept means it to.
var safeOptions = []string{
	"--no-pager",
	"-c", "core.fsmonitor=false",
	"-c", "safe.bareRepository=explicit",
	"-c", "protocol.ext.allow=never",
}

// noHooks switches hooks off: the folder, whose stand-in does not exist on
// Windows either, and the ones in the config, for the two events that what this
// package runs can fire. Git before 2.54 takes those for unknown names.
var noHooks = []string{
	"-c", "core.hooksPath=/dev/null",
	"-c", "hook.post-index-change.enabled=false",
	"-c", "hook.reference-transaction.enabled=false",
}

// repositoryEnv are the variables that point Git at a repository or change how
// it reads one: "git rev-parse --local-env-vars", less the two that carry the
// user's own -c options (a CI job names its safe.directory there), and the
// pathspec switches, which would turn a path into a pattern.
var repositoryEnv = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE",
	"GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE",
	"GIT_PREFIX", "GIT_INTERNAL_SUPER_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
	"GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
	"GIT_ATTR_SOURCE", "GIT_EXTERNAL_DIFF", "GIT_DEFAULT_HASH",
}

// command is how one Git process is started.
type command struct {
	dir string
	// keepEnv leaves the caller's GIT_DIR and its like alone; only discovery wants that.
	keepEnv bool
	// ownHooks leaves the settings of hooks as the repository has them, to ask about them.
	ownHooks bool
	// options go in front of the subcommand, env behind the environment.
	options, env []string
	stdin        io.Reader
}

// command returns the start of every Git process for r.
func (r *Repo) command() command {
	c := command{dir: r.Root}
	if r.explicit {
		// Only then: naming the folder would also switch off Git's refusal to
		// work in a repository that belongs to another user.
		c.options = []string{"--git-dir=" + r.GitDir, "--work-tree=" + r.Root}
	}
	if r.inside {
		c.options = []string{"-c", "safe.bareRepository=all"} // What is asked about is the folder and nothing found above it.
		c.env = wholeEnv
	}
	if r.foreign {
		c.options = []string{"--git-dir=" + r.GitDir, "-c", "gc.auto=0", "-c", "maintenance.auto=false"}
		c.env = []string{"GIT_ALLOW_PROTOCOL=" + transports, "GCM_INTERACTIVE=never"}
		if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
			c.env = append(c.env, "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
		}
	}
	return c
}

// git runs Git for r with default settings and returns its standard output.
func (r *Repo) git(ctx context.Context, args ...string) ([]byte, error) {
	c := r.command()
	return c.run(ctx, args...)
}

// gitInput is git with bytes for standard input.
func (r *Repo) gitInput(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	c := r.command()
	c.stdin = bytes.NewReader(input)
	return c.run(ctx, args...)
}

// run starts Git, waits for it, and returns its standard output. A Git that
// fails gives an *Error, and its output so far.
func (c *command) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := c.prepare(ctx, args)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), commandError(ctx, args, stderr.String(), err)
}

// prepare returns the process, not yet started.
func (c *command) prepare(ctx context.Context, args []string) (*exec.Cmd, error) {
	// LookPath refuses (exec.ErrDot) a git that lies in the current folder, which
	// would be one that the repository brings.
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	hooks := noHooks
	if c.ownHooks {
		hooks = nil
	}
	cmd := exec.CommandContext(ctx, path, slices.Concat(safeOptions, hooks, c.options, args)...)
	cmd.Dir = c.dir
	cmd.Env = c.environ()
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// environ returns the environment of the process.
func (c *command) environ() []string {
	env := make([]string, 0, len(os.Environ())+8)
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if c.keepEnv || !slices.Contains(repositoryEnv, name) {
			env = append(env, entry)
		}
	}
	// KEPT_HOOK silences our own hooks: a Git started from a hook must not call it
	// again. Without GIT_OPTIONAL_LOCKS=0 "git status" writes the index, which
	// fires post-index-change.
	env = append(env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "LANGUAGE=", "KEPT_HOOK=1")
	return append(env, c.env...)
}

// commandError makes an *Error of a process that ended badly.
func commandError(ctx context.Context, args []string, stderr string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &Error{Args: args, Stderr: stderr, ExitCode: exit.ExitCode()}
	}
	return fmt.Errorf("run git %s: %w", args[0], err)
}

// exitCode returns the exit status of a Git that failed, and 0 for any other error or none.
func exitCode(err error) int {
	var failed *Error
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
	return 0
}

// splitNUL splits what Git prints with -z.
func splitNUL(out []byte) []string {
	text := strings.TrimSuffix(string(out), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}

// joinNUL is the inverse of splitNUL.
func joinNUL(names []string) []byte {
	var b bytes.Buffer
	for _, name := range names {
		b.WriteString(name)
		b.WriteByte(0)
	}
	return b.Bytes()
}
