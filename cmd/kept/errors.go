package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// The exit codes, as every command's help lists them.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitInconclusive = 3
	exitInterrupted  = 130
)

// errFailed and errInconclusive end a command whose findings are printed already.
var (
	errFailed       = errors.New("failed")
	errInconclusive = errors.New("inconclusive")
)

// fail prints an error with at most one hint and returns the exit code.
func (u *ui) fail(ctx context.Context, err error) int {
	var interrupted *core.InterruptedError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.Is(err, errInconclusive):
		return exitInconclusive
	case errors.As(err, &interrupted):
		u.say("%s %s", u.paint(red, "error:"), clean(err.Error()))
		return exitInterrupted
	case ctx.Err() != nil:
		u.say("%s interrupted", u.paint(red, "error:"))
		return exitInterrupted
	}
	// Joined errors come a line each.
	u.say("%s %s", u.paint(red, "error:"), strings.ReplaceAll(cleanLines(err.Error()), "\n", "\n       "))
	if h := hint(err); h != "" {
		u.say("%s %s", u.paint(yellow, "hint:"), clean(h))
	}
	return exitCode(err)
}

func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

func exitCode(err error) int {
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	var command *core.CommandError
	var modified *core.ModifiedArtifactError
	switch {
	case errors.As(err, &missing), errors.As(err, &corrupt):
		return exitInconclusive
	case errors.As(err, &command), errors.As(err, &modified):
		return exitFailed
	}
	return exitUsage
}

// hint names the next command to type for an error that has one.
func hint(err error) string {
	for _, h := range []func(error) string{hintUsage, hintRepository, hintLock, hintRun, hintStore} {
		if text := h(err); text != "" {
			return text
		}
	}
	return ""
}

func hintUsage(err error) string {
	var usage *usageError
	if errors.As(err, &usage) {
		return usage.command + " --help"
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return "kept --help"
	}
	return ""
}

func hintRepository(err error) string {
	var noRepo *git.NoRepositoryError
	var bare *git.BareError
	var none *core.NoExperimentError
	var rev *git.RevisionError
	switch {
	case errors.As(err, &noRepo):
		return "git init"
	case errors.As(err, &bare):
		return "git worktree add ../work"
	case errors.As(err, &none):
		return "kept init"
	case errors.As(err, &rev):
		return "git log --oneline"
	}
	return ""
}

func hintLock(err error) string {
	var conflict *lockfile.ConflictError
	var spliced *lockfile.SplicedError
	var newer *lockfile.VersionError
	switch {
	case errors.As(err, &conflict):
		return "git checkout --ours -- kept.lock (or --theirs), then kept run"
	case errors.As(err, &spliced):
		return "kept run " + spliced.Stage
	case errors.As(err, &newer):
		return "pip install --upgrade kept"
	}
	return ""
}

func hintRun(err error) string {
	var unknown *pipeline.UnknownStageError
	var notWritten *core.NotWrittenError
	var changed *core.ChangedError
	var command *core.CommandError
	var tracked *core.TrackedError
	var source *core.MissingSourceError
	var assignment *core.AssignmentError
	var key *values.UnknownKeyError
	var noRun *core.NoRunError
	var artifact *core.UnknownArtifactError
	var busy *core.BusyError
	switch {
	case errors.As(err, &busy):
		return hintBusy(busy)
	case errors.As(err, &unknown):
		return hintStage(unknown)
	case errors.As(err, &notWritten):
		return fmt.Sprintf("write %s in the command, or change it in kept.toml: [stage.%s]", notWritten.Path, notWritten.Stage)
	case errors.As(err, &changed):
		return "kept run " + changed.Stage
	case errors.As(err, &command):
		if command.NotFound() {
			return fmt.Sprintf("correct command in kept.toml: [stage.%s]", command.Stage)
		}
		return "less " + command.Log
	case errors.As(err, &tracked):
		return "git rm --cached " + tracked.Path
	case errors.As(err, &source):
		return fmt.Sprintf("git status -- %s, or correct kept.toml: [stage.%s]", strings.Join(source.Paths, " "), source.Stage)
	case errors.As(err, &assignment):
		return "kept run -p tfidf.ngram_max=2"
	case errors.As(err, &key):
		return "kept show --json"
	case errors.As(err, &noRun):
		return "kept run -- COMMAND"
	case errors.As(err, &artifact):
		if len(artifact.Known) > 0 {
			return "the lock has " + strings.Join(artifact.Known, ", ")
		}
		return "kept run"
	}
	return ""
}

func hintBusy(e *core.BusyError) string {
	switch {
	case os.Getenv("KEPT_RUN") != "":
		return "make what the command wants kept to run a stage of its own in kept.toml"
	case e.Command > 0:
		return fmt.Sprintf("kill %d, unless it is to end its work", e.Command)
	}
	return ""
}

func hintStage(e *pipeline.UnknownStageError) string {
	if e.Suggestion != "" {
		return "kept run " + e.Suggestion
	}
	if len(e.Known) > 0 {
		return "kept.toml has " + strings.Join(e.Known, ", ")
	}
	return "kept run -- COMMAND"
}

func hintStore(err error) string {
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	var modified *core.ModifiedArtifactError
	var folder *core.FolderError
	var large *core.TooLargeError
	switch {
	case errors.As(err, &modified):
		return "kept restore " + modified.Path
	case errors.As(err, &folder):
		return "kept path " + folder.Path
	case errors.As(err, &missing), errors.As(err, &corrupt):
		return "kept run --force"
	case errors.As(err, &large):
		return "keep data in inputs or artifacts; params and metrics files hold values"
	case cas.IsDiskFull(err):
		return "df -h . .git/kept"
	case cas.IsReadOnly(err):
		return "ls -ld .git/kept .git/kept/store"
	case errors.Is(err, workspace.ErrLink):
		return "name the file or folder itself instead of a link to it"
	}
	return ""
}

// addExits ends a command's help with its exit codes.
func addExits(cmd *cobra.Command, lines ...string) *cobra.Command {
	text := "\n\nExit codes: 0 done"
	for _, l := range lines {
		text += ", " + l
	}
	cmd.Long = strings.TrimSpace(cmd.Long) + text + "."
	return cmd
}
