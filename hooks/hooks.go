// Package hooks holds what Git calls: the texts of the hooks, putting them in
// place beside other hook managers, taking them away again, and the merge driver.
//
// An event is a moment at which Git calls a hook. A hook of ours lives in one of
// three places: in the repository's config (Git 2.54 and later run such hooks in
// addition to the files), in a hook file of its own, or chained: one marked line
// in a script that somebody else wrote.
//
//	in := &hooks.Installer{Repo: repo, Binary: "/usr/local/bin/kept"}
//	report, err := in.Install(ctx)     // safe to repeat
//	report, err = in.Status(ctx)       // where each event is, and whether it runs
//	report, err = in.Uninstall(ctx)    // files of others are byte for byte what they were
//
// docs/spec/hooks.md says what goes where for each hook manager, and
// docs/decisions/0003-restore-by-hooks.md why these events.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kept-dev/kept/core/git"
)

// Event is a moment at which Git calls hooks, by Git's name for it.
type Event string

// The events that kept listens to. PostIndexChange sees every operation that
// moves the lock through the index (reset and stash have no other hook);
// PostCheckout sees "git restore --source" of a lock in the worktree alone, and
// a clone; PreCommit refuses a lock that does not say the truth; PrePush sends what
// pushed commits name to the remote first.
const (
	PostIndexChange Event = "post-index-change"
	PostCheckout    Event = "post-checkout"
	PreCommit       Event = "pre-commit"
	PrePush         Event = "pre-push"
)

// Events lists all events in the order in which they are installed and reported.
var Events = []Event{PostIndexChange, PostCheckout, PreCommit, PrePush}

// refuses reports whether the hook's exit status stops what Git is about to do.
func (e Event) refuses() bool { return e == PreCommit || e == PrePush }

// Place is where the hook of an event is.
type Place string

// The places of a hook.
const (
	Nowhere  Place = ""
	InConfig Place = "config"
	InFile   Place = "file"
	Chained  Place = "chained"
	// LeftOut: kept does without this event here, and loses next to nothing by it.
	LeftOut Place = "left out"
)

// Status is what is known of one event's hook.
type Status struct {
	Event Event
	Place Place
	// Path is the hook file, absolute, or the config key.
	Path string
	// Manager is the hook manager whose rules apply: "husky", "pre-commit",
	// "prek", "lefthook", "git-lfs", or "".
	Manager string
	// Version is the version of the hook's text, 0 where there is none.
	Version int
	// Runs says that Git will call it and that it will find a kept to call.
	Runs bool
	// Note says why it does not run or is not there; "" where all is well.
	Note string
	// Advice is what to type or to add by hand, "" where nothing is to be done.
	Advice string
}

// Report is the state of all that Install sets up in a clone.
type Report struct {
	Events []Status
	// Driver says that the merge driver and the diff settings are in place.
	Driver bool
	// Attributes says that .gitattributes names them for kept.lock.
	Attributes bool
}

// Installer puts hooks into one repository. All worktrees of it share them.
type Installer struct {
	Repo *git.Repo
	// Binary is the absolute path of the kept that the hooks shall call. A hook
	// whose kept is gone looks for another one in PATH.
	Binary string

	// version stands in for the version of the git in PATH, in tests.
	version git.Version
}

// Git's versions that matter to hooks.
var (
	firstIndexHook  = git.Version{Major: 2, Minor: 22}
	firstConfigHook = git.Version{Major: 2, Minor: 54}
)

// gitVersion returns the version of the git that will run the hooks.
func (in *Installer) gitVersion() (git.Version, error) {
	if in.version != (git.Version{}) {
		return in.version, nil
	}
	return git.ProgramVersion()
}

// Install puts the hooks, the merge driver and the diff settings in place, or
// brings them up to date. What cannot be installed without harm to a file of
// somebody else is in the report with what to do by hand, and is no error.
func (in *Installer) Install(ctx context.Context) (Report, error) {
	if !filepath.IsAbs(in.Binary) {
		return Report{}, fmt.Errorf("install hooks: %q is not an absolute path", in.Binary)
	}
	version, err := in.gitVersion()
	if err != nil {
		return Report{}, fmt.Errorf("install hooks: %w", err)
	}
	switch {
	case version.AtLeast(firstConfigHook.Major, firstConfigHook.Minor):
		// One place per event: a hook that is in both would run twice.
		if err = in.installConfig(ctx); err == nil {
			err = in.removeFiles(ctx)
		}
	case version.AtLeast(firstIndexHook.Major, firstIndexHook.Minor):
		if err = in.installFiles(ctx); err == nil {
			err = in.removeConfig(ctx)
		}
	}
	if err == nil {
		err = in.installDriver(ctx)
	}
	if err != nil {
		return Report{}, fmt.Errorf("install hooks: %w", err)
	}
	return in.Status(ctx)
}

// Uninstall removes the hooks, the merge driver and the diff settings, wherever
// an earlier Install put them. The line in .gitattributes stays: it is committed,
// and without the driver Git merges a lock as text.
func (in *Installer) Uninstall(ctx context.Context) (Report, error) {
	err := errors.Join(in.removeConfig(ctx), in.removeFiles(ctx), in.removeDriver(ctx))
	if err != nil {
		return Report{}, fmt.Errorf("uninstall hooks: %w", err)
	}
	return in.Status(ctx)
}

// Status looks at what is installed and changes nothing.
func (in *Installer) Status(ctx context.Context) (Report, error) {
	report, err := in.status(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("look at the hooks: %w", err)
	}
	return report, nil
}

func (in *Installer) status(ctx context.Context) (Report, error) {
	var report Report
	version, err := in.gitVersion()
	if err != nil {
		return report, err
	}
	configured, err := in.configStatus(ctx, version)
	if err != nil {
		return report, err
	}
	dir, err := in.Repo.HooksDir(ctx)
	if err != nil {
		return report, err
	}
	for _, event := range Events {
		status, ok := configured[event]
		if !ok {
			if status, err = in.fileStatus(event, dir); err != nil {
				return report, err
			}
			if !version.AtLeast(firstIndexHook.Major, firstIndexHook.Minor) {
				status.Note = fmt.Sprintf("Git %s is too old: hooks need 2.22", version)
				status.Advice = "update Git, or call `kept restore` after a checkout"
			}
		}
		report.Events = append(report.Events, status)
	}
	if report.Driver, err = in.driverStatus(ctx); err != nil {
		return report, err
	}
	report.Attributes, err = hasAttributes(in.Repo.Root)
	return report, err
}
