package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker, see the Makefile.
var version = "devel"

// brief are commands that are over before anybody notices, and that a signal may
// end where they are: what they write is whole at any instant. Hooks run with
// every change of Git's index. Watching for signals, which starts threads, and
// setting up the other commands would each be a tenth of the time that these take.
var brief = map[string]func(*ui) *cobra.Command{"hook": newHook, "status": newStatus, "version": newVersion}

// run executes one command line and returns the exit code.
func run(args []string) int {
	u := newUI(os.Stdout, os.Stderr)
	ctx := context.Background()
	root := newRoot(u)
	if command := brief[append(args, "")[0]]; command != nil {
		root.AddCommand(command(u))
		root.CompletionOptions.DisableDefaultCmd = true
	} else {
		addCommands(root, u)
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		// A second signal ends kept at once, whatever it waits for.
		context.AfterFunc(ctx, stop)
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return u.fail(ctx, flagsTogether(cmd, err))
}

// flagsTogether puts what cobra says about the flags of a command line, which it
// says in errors without a type, into words of usage.
func flagsTogether(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if _, set, ok := strings.Cut(text, "] are set none of the others can be; ["); ok {
		names := strings.Fields(strings.TrimSuffix(set, "] were all set"))
		err = errors.New("--" + strings.Join(names, " and --") + " exclude each other")
	} else if name, ok := strings.CutPrefix(text, "required flag(s) "); ok {
		name = strings.ReplaceAll(strings.TrimSuffix(name, " not set"), `"`, "")
		err = errors.New("--" + name + " is required")
	} else {
		return err
	}
	return &usageError{err: err, command: cmd.CommandPath()}
}

// newRoot returns kept without its commands.
func newRoot(u *ui) *cobra.Command {
	var asVersion bool
	root := &cobra.Command{
		Use:   "kept",
		Short: "Keep experiments in Git: parameters, metrics, data and models",
		Long: `kept records what a command read and wrote in kept.lock, which is committed
beside the code, and keeps the bytes in a store below .git. Checking out any
commit brings its artifacts back.`,
		Example: `  kept init                  set up this repository
  kept run                   run what is stale and record it
  kept diff main             what changed against another commit
  git checkout v1.2          code, vectorizer and model of that commit`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asVersion {
				return u.printVersion()
			}
			return cmd.Help()
		},
	}
	// Cobra's own flag takes a template. Where templates are linked, which call methods
	// by name, so is each method of every package: a larger program that starts later.
	root.Flags().BoolVarP(&asVersion, "version", "v", false, "version for kept")
	root.SetOut(u.out)
	root.SetErr(u.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, command: cmd.CommandPath()}
	})
	return root
}

// addCommands adds all commands, in the groups that the help shows.
func addCommands(root *cobra.Command, u *ui) {
	addGroup(root, "Record", newRun(u), newAdd(u), newLogParam(), newLogMetric(), newLogArtifact())
	addGroup(root, "Restore", newRestore(u), newVerify(u), newResolve(u))
	addGroup(root, "Share", newRemote(u), newPush(u), newFetch(u), newPull(u), newGet(u))
	addGroup(root, "Look", newStatus(u), newShow(u), newDiff(u), newGate(u))
	addGroup(root, "Look back", newLog(u), newBlame(u), newBisect(u))
	addGroup(root, "Look after", newGC(u), newFsck(u))
	addGroup(root, "Set up", newInit(u), newHooks(u), newVersion(u))
	root.SetHelpCommandGroupID("Set up")
	root.SetCompletionCommandGroupID("Set up")
	root.AddCommand(newCat(u), newPath(u), newRecord(u), newHook(u), newMergeDriver())
	root.InitDefaultCompletionCmd()
	for _, group := range root.Commands() {
		if group.HasSubCommands() && !group.Runnable() {
			group.RunE = runGroup
		}
	}
}

// addGroup adds commands that the help lists together.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}

// runGroup is a command that only has subcommands: cobra would take a word that
// is none of them for a call for help.
func runGroup(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return cmd.Help()
	}
	return &usageError{err: fmt.Errorf("unknown command %q", words[0]), command: cmd.CommandPath()}
}

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// args wraps a check of positional arguments so that its error counts as usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if err := check(cmd, list); err != nil {
			return &usageError{err: err, command: cmd.CommandPath()}
		}
		return nil
	}
}
