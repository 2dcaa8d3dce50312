package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/internal/lazy"
	"github.com/kept-dev/kept/lockfile"
)

// The exit codes, as every command's help lists them.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitInconclusive = 3
	exitRemote       = 4
	exitInterrupted  = 130
)

// errFailed and errInconclusive end a command whose findings are printed already.
var (
	errFailed       = errors.New("failed")
	errInconclusive = errors.New("inconclusive")
)

// statusError ends a command with an exit code that somebody else gave a meaning.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// fail prints an error with at most one hint and returns the exit code.
func (u *ui) fail(ctx context.Context, err error) int {
	var interrupted *core.InterruptedError
	var status *statusError
	if err == nil {
		err = u.lost()
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return status.code
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
	if isOpen(err) {
		return exitInconclusive
	}
	if isRemote(err) {
		return exitRemote
	}
	var notThere *notThereError
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	var command *core.CommandError
	var modified *core.ModifiedArtifactError
	var curves *noCurvesError
	var noBase *core.NoBaseError
	switch {
	case errors.Is(err, cas.ErrInUse), errors.As(err, &notThere), errors.As(err, &noBase), errors.As(err, &curves), errors.As(err, &missing), errors.As(err, &corrupt), errors.As(err, &modified) && modified.Missing:
		return exitInconclusive
	case errors.As(err, &command), errors.As(err, &modified):
		return exitFailed
	}
	return exitUsage
}

// hint names the next command to type for an error that has one.
func hint(err error) string {
	for _, h := range []func(error) string{hintUsage, hintRemote, hintRepository, hintLock, hintRun, hintGate, hintCollect, hintStore, hintHistory} {
		if text := h(err); text != "" {
			return text
		}
	}
	return ""
}

func hintUsage(err error) string {
	var usage *usageError
	var curves *noCurvesError
	switch {
	case errors.As(err, &usage):
		return usage.command + " --help"
	case errors.As(err, &curves):
		return "kept log-metric --help"
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
	var noBase *core.NoBaseError
	var sparse *core.SparseError
	var outside *git.OutsideError
	switch {
	case errors.As(err, &outside) && outside.Path == ".":
		// GIT_WORK_TREE is elsewhere.
		return "cd " + pathWord(outside.Root)
	case errors.As(err, &noBase):
		return noBase.Try
	case errors.As(err, &sparse):
		return hintSparse(sparse)
	case errors.As(err, &rev) && rev.Shallow:
		return "git fetch --unshallow"
	case errors.As(err, &noRepo):
		return "git init"
	case errors.As(err, &bare):
		return "git worktree add ../work"
	case errors.As(err, &none):
		return hintExperiment(none)
	case errors.As(err, &rev):
		return "git log --oneline"
	}
	return ""
}

// hintExperiment leads to an experiment of the repository if it has one.
func hintExperiment(e *core.NoExperimentError) string {
	if e.Tracked {
		if p, err := core.Open("."); err == nil {
			return "git add -- " + pathWord(typed(path.Join(p.Rel, pipeline.Name)))
		}
		return "kept init"
	}
	r, err := core.OpenRepository(".")
	if err != nil {
		return "kept init"
	}
	files, err := r.Git.Files(context.Background(), pipeline.Name)
	if err != nil {
		return "kept init"
	}
	for _, file := range files {
		if r.Workspace.Exists(file) {
			return "cd " + pathWord(typed(path.Dir(file)))
		}
	}
	return "kept init"
}

// hintSparse brings a file back. The top folder's own files are left out by
// patterns only; a folder is named the same way in either mode.
func hintSparse(e *core.SparseError) string {
	if dir := path.Dir(e.Path); dir != "." {
		return "git sparse-checkout add " + pathWord(typed(dir))
	}
	return "git sparse-checkout add " + word("/"+e.Path)
}

func hintLock(err error) string {
	var conflict *lockfile.ConflictError
	var spliced *lockfile.SplicedError
	var newer *lockfile.VersionError
	var file *core.FileError
	var none *core.NoConflictError
	var mixed *core.MixedError
	var source *core.UnmergedSourceError
	var still *core.NotRerunError
	if errors.As(err, &newer) {
		return "pip install --upgrade kept"
	}
	if errors.As(err, &file) && file.Rev != "" {
		return ""
	}
	switch {
	case errors.As(err, &conflict) && file != nil:
		return "kept resolve"
	case errors.As(err, &none) && len(none.Conflicts) > 0, errors.As(err, &still):
		return "kept resolve"
	case errors.As(err, &mixed):
		return "kept resolve --rerun " + word(mixed.Name)
	case errors.As(err, &source):
		return "git diff -- " + pathWord(typed(source.Path))
	case errors.As(err, &spliced):
		return "kept run " + word(spliced.Stage)
	}
	return ""
}

func hintRun(err error) string {
	var unknown *pipeline.UnknownStageError
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
	case errors.As(err, &changed):
		return "kept run " + word(changed.Stage)
	case errors.As(err, &command):
		return "less " + word(command.Log)
	case errors.As(err, &tracked):
		return "git rm -r --cached -- " + pathWord(typed(tracked.Path))
	case errors.As(err, &source):
		return hintSource(source)
	case errors.As(err, &assignment) && !assignment.NoFile, errors.As(err, &noRun):
		return "kept run --help"
	case errors.As(err, &key) && len(key.Near) == 0:
		return "cat " + pathWord(typed(key.Name))
	case errors.As(err, &artifact):
		return hintArtifact(artifact)
	}
	return ""
}

func hintGate(err error) string {
	var none *core.NoRulesError
	var accept *core.AcceptError
	switch {
	case errors.As(err, &none):
		return hintRule(none)
	case errors.As(err, &accept):
		return "kept gate"
	}
	return ""
}

// hintRule adds a rule for a metric of which it is known how it gets worse, if
// there is one.
func hintRule(e *core.NoRulesError) string {
	metric, bound := "train.accuracy", "max_drop"
	if len(e.Metrics) > 0 {
		metric = e.Metrics[0]
	}
	for _, name := range e.Metrics {
		if d := metrics.Rules(nil).Direction(name); d != metrics.Unknown {
			metric = name
			break
		}
	}
	if metrics.Rules(nil).Direction(metric) == metrics.Lower {
		bound = "max_rise"
	}
	name := strings.NewReplacer(`\`, `\\`, "%", "%%").Replace(lockfile.FormatValue(metric))
	return fmt.Sprintf(`printf %s >> %s`, word(`\n[gate.`+name+`]\n`+bound+` = "1%%"\n`), pathWord(typed(e.Path)))
}

// hintBusy names the process that is left of a killed kept.
func hintBusy(e *core.BusyError) string {
	if e.Command > 0 {
		return fmt.Sprintf("kill %d", e.Command)
	}
	return ""
}

// hintSource says how to get back what a stage reads, where that is known.
func hintSource(e *core.MissingSourceError) string {
	words := make([]string, len(e.Files))
	for i, file := range e.Files {
		words[i] = pathWord(typed(file))
	}
	switch {
	case e.Tracked:
		return "git checkout -- " + strings.Join(words, " ")
	case e.Kept:
		return "kept restore " + strings.Join(words, " ")
	case hasRemote():
		return "kept pull " + strings.Join(words, " ")
	case e.Locked && !ranHere():
		return hintMissing(".")
	}
	return ""
}

func hintArtifact(e *core.UnknownArtifactError) string {
	switch {
	case e.Foreign:
		return ""
	case len(e.Known) == 0 && e.Rev == "":
		return "kept run"
	case e.Rev == "":
		return "kept show"
	}
	return "kept show " + word(e.Rev)
}

func hintStage(e *pipeline.UnknownStageError) string {
	if e.Suggestion != "" {
		return "kept run " + word(e.Suggestion)
	}
	if len(e.Known) > 0 {
		return "kept status"
	}
	return "kept run --help"
}

// hintCollect leads to what has to be settled before anything may be removed.
func hintCollect(err error) string {
	var clone *core.CloneError
	var cache *core.CacheError
	var quarantine *core.QuarantineError
	var worktree *git.WorktreeError
	switch {
	case errors.As(err, &clone) && clone.Clone.Note != "":
		// The clone is forgotten: what it alone needs may go.
		return "rm " + pathWord(clone.Clone.Note)
	case errors.As(err, &cache):
		return "ls -ld " + pathWord(cache.Dir)
	case errors.As(err, &quarantine):
		return "kept fsck"
	case errors.As(err, &worktree):
		return "git worktree list"
	}
	return ""
}

func hintStore(err error) string {
	var unavailable *core.UnavailableError
	var modified *core.ModifiedArtifactError
	var folder *core.FolderError
	var unnamed *core.NotInLockError
	var place *placeError
	switch {
	case errors.As(err, &place) && cas.IsDiskFull(err):
		return "df -h " + pathWord(place.dir)
	case errors.As(err, &place):
		return "ls -ld " + pathWord(place.dir)
	case errors.As(err, &modified):
		return "kept restore " + pathWord(typed(modified.Path))
	case errors.As(err, &folder):
		return "kept path " + word(folder.Path)
	case errors.As(err, &unnamed):
		return "kept show"
	case errors.As(err, &unavailable):
		return hintUnavailable(unavailable)
	case cas.IsDiskFull(err):
		return "df -h . " + pathWord(storeFolder())
	case cas.IsReadOnly(err):
		return "ls -ld " + pathWord(storeFolder())
	}
	return ""
}

// hintUnavailable brings an object from where it may be.
func hintUnavailable(e *core.UnavailableError) string {
	switch {
	case hasRemote() && e.Rev == "":
		return "kept pull " + word(e.Name)
	case hasRemote():
		return "kept fetch --all"
	case e.Rev == "" || !ranHere():
		return hintMissing(".")
	}
	return ""
}

// typed returns a path of the worktree as it is typed in the current folder.
func typed(file string) string {
	r, err := core.OpenRepository(".")
	if err != nil {
		return file
	}
	return display(r, file)
}

// storeFolder returns the folder that kept writes to, or the one that it would
// be made in.
func storeFolder() string {
	r, err := core.OpenRepository(".")
	if err != nil {
		return "."
	}
	dir := r.Local.Dir()
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(dir)
	}
	if rel, err := filepath.Rel(r.Git.Root, dir); err == nil && filepath.IsLocal(rel) {
		return typed(filepath.ToSlash(rel))
	}
	return dir
}

var plainWord = lazy.Regexp(`^[A-Za-z0-9_@%+=:,./-]+$`)

// pathWord is word for a path, which must not look like a flag.
func pathWord(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return word(s)
}

// word writes s as one word of a command line for the shell.
func word(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
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
