package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

// transferFlags are those that push, fetch and pull have in common.
type transferFlags struct {
	remote              string
	jobs                int
	all, dryRun, asJSON bool
	verify              bool // of push alone
}

func (f *transferFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.remote, "remote", "r", "", "the `name` of the remote")
	cmd.Flags().BoolVar(&f.all, "all", false, "every kept.lock of the repository, in all of history")
	cmd.Flags().IntVarP(&f.jobs, "jobs", "j", 0, "how many requests run at once")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "only say what would be moved")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	completeFlags(cmd, completeRemotes, "remote")
}

func (f *transferFlags) check(cmd *cobra.Command, paths []string) error {
	var err error
	switch {
	case f.all && len(paths) > 0:
		err = errors.New("--all and paths exclude each other")
	case f.jobs < 0 || f.jobs > 1000:
		err = fmt.Errorf("--jobs %d is not between 1 and 1000", f.jobs)
	}
	if err != nil {
		return &usageError{err: err, command: cmd.CommandPath()}
	}
	return nil
}

func newPush(u *ui) *cobra.Command {
	var f transferFlags
	cmd := &cobra.Command{
		Use:   "push [PATH...]",
		Short: "Send what kept.lock names to a remote",
		Long: `Push makes the remote have what kept.lock names, in the working tree and in HEAD:
artifacts, inputs that are kept, package lists, histories of metrics. It sends
what the remote does not have yet, and can be repeated at any time. PATH is an
artifact's name or path, or a folder. The pre-push hook does the same for the
commits that git push is about to send.

What the remote says that it has is believed. With --verify it is read, as much as
fetching it would, and what is damaged there is sent again.`,
		Example: `  kept push
  kept push model --remote backup
  kept push --all
  kept push --all --verify   after a remote was found damaged`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return u.transfer(cmd, &f, paths, pushing)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.verify, "verify", false, "read what the remote has, and send again what is damaged")
	return addExits(cmd, transferExits...)
}

func newFetch(u *ui) *cobra.Command {
	var f transferFlags
	cmd := &cobra.Command{
		Use:   "fetch [PATH...]",
		Short: "Bring what kept.lock names from a remote into the store",
		Long: `Fetch makes the store have what kept.lock names, and leaves the working tree as it
is. PATH is an artifact's name or path, a folder, or an input that was kept.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return u.transfer(cmd, &f, paths, fetching)
		},
	}
	f.add(cmd)
	return addExits(cmd, transferExits...)
}

func newPull(u *ui) *cobra.Command {
	var f transferFlags
	cmd := &cobra.Command{
		Use:   "pull [PATH...]",
		Short: "Bring what kept.lock names from a remote into the working tree",
		Long: `Pull is fetch and restore: it brings what the store does not have, makes the
artifacts in the working tree match kept.lock, and puts inputs back that are not
there. PATH is an artifact's name or path,
a folder, or an input that was kept.`,
		Example: `  git clone … && cd … && kept init && kept pull
  kept pull model
  kept pull --all            for every commit, to be without the network later`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return u.pull(cmd, &f, paths)
		},
	}
	f.add(cmd)
	return addExits(cmd, transferExits...)
}

var transferExits = []string{"2 wrong usage or configuration", "3 something is missing here", "4 the remote can't be used, or does not have it"}

// direction is what a transfer is called.
type direction struct {
	doing, done, would, way string
	push                    bool
}

var (
	pushing  = direction{doing: "pushing", done: "pushed", would: "would push", way: "to", push: true}
	fetching = direction{doing: "fetching", done: "fetched", would: "would fetch", way: "from"}
)

// transfer is push and fetch.
func (u *ui) transfer(cmd *cobra.Command, f *transferFlags, paths []string, d direction) error {
	if err := f.check(cmd, paths); err != nil {
		return err
	}
	done, err := u.move(cmd, f, paths, d)
	if done == nil {
		return err
	}
	if f.asJSON && err == nil {
		err = u.json(transferShape(done, f.dryRun))
	} else {
		u.sayTransfers(done, f.dryRun, d, err)
	}
	if err != nil {
		return err
	}
	return lacking(done, d)
}

// move moves what the flags say.
func (u *ui) move(cmd *cobra.Command, f *transferFlags, paths []string, d direction) (*core.Transfers, error) {
	meter := u.watchTransfer(d.doing)
	defer meter.stop()
	o := core.TransferOptions{Dial: u.dial(f.jobs, true), Remote: f.remote, DryRun: f.dryRun, Verify: f.verify, Meter: meter.of}
	var done *core.Transfers
	var err error
	if f.all {
		done, err = moveAll(cmd.Context(), o, d)
	} else {
		done, err = moveHere(cmd.Context(), o, paths, d)
	}
	command := cmd.CommandPath()
	if f.all {
		command += " --all"
	}
	if !d.push && isDamagedThere(err) {
		err = &damagedThereError{err}
	}
	return done, nameCommand(err, command+" --remote")
}

// isDamagedThere reports whether a remote has something not as a root says, or not any more.
func isDamagedThere(err error) bool {
	var failed *remote.Error
	return errors.Is(err, cas.ErrDamaged) || errors.As(err, &failed) && (errors.Is(failed, fs.ErrNotExist) || errors.Is(failed, remote.ErrShort))
}

// damagedThereError is a transfer that found something of the remote damaged or gone.
type damagedThereError struct{ err error }

func (e *damagedThereError) Error() string {
	return e.err.Error() + "\nkept push --verify sends it again, in a clone that has it"
}

func (e *damagedThereError) Unwrap() error { return e.err }

func moveAll(ctx context.Context, o core.TransferOptions, d direction) (*core.Transfers, error) {
	r, err := core.OpenRepository(".")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if d.push {
		return r.PushAll(ctx, o)
	}
	return r.FetchAll(ctx, o)
}

func moveHere(ctx context.Context, o core.TransferOptions, paths []string, d direction) (*core.Transfers, error) {
	p, err := core.Open(".")
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if o.Paths, err = experimentPaths(p, paths); err != nil {
		return nil, err
	}
	if d.push {
		return p.Push(ctx, o)
	}
	return p.Fetch(ctx, o)
}

// pull fetches, and restores what can be.
func (u *ui) pull(cmd *cobra.Command, f *transferFlags, paths []string) error {
	if err := f.check(cmd, paths); err != nil {
		return err
	}
	done, err := u.move(cmd, f, paths, fetching)
	if done == nil {
		return err
	}
	if !f.asJSON {
		u.sayTransfers(done, f.dryRun, fetching, err)
	}
	if err != nil {
		return err
	}
	missing := lacking(done, fetching)
	if f.dryRun {
		if f.asJSON {
			return errors.Join(u.json(transferShape(done, true)), missing)
		}
		return missing
	}
	shape := transferShape(done, false)
	restored := eachProject(cmd.Context(), f.all, func(p *core.Project) error {
		return u.restorePulled(cmd, p, f, paths, &shape)
	})
	if f.asJSON && (restored == nil || errors.Is(restored, errInconclusive)) {
		if err := u.json(shape); err != nil {
			return err
		}
	}
	if missing != nil && (restored == nil || errors.Is(restored, errInconclusive)) {
		return missing
	}
	return restored
}

func (u *ui) restorePulled(cmd *cobra.Command, p *core.Project, f *transferFlags, paths []string, shape *transfersJSON) error {
	chosen, err := experimentPaths(p, paths)
	if err != nil {
		return err
	}
	meter := u.watch(p.Repository, "restoring")
	restore := func() (*core.Restored, error) { return p.Restore(cmd.Context(), chosen) }
	if len(chosen) == 0 {
		restore = func() (*core.Restored, error) { return p.RestoreWithInputs(cmd.Context()) }
	}
	report, err := restore()
	meter.pause()
	if report == nil {
		return err
	}
	shape.restored(report)
	if f.asJSON {
		if err == nil && len(report.Missing)+len(report.Left) > 0 {
			return errInconclusive
		}
		return err
	}
	gone := len(report.Missing) > 0
	report.Missing = nil // The transfer has said what it could not get.
	if len(report.Placed)+len(report.Removed)+len(report.Saved)+len(report.Left) > 0 {
		u.sayRestored(p.Repository, report, false)
	}
	if err == nil && (gone || len(report.Left) > 0) {
		return errInconclusive
	}
	return err
}

// notThereError reports objects that could not be had.
type notThereError struct {
	remote *core.Remote
	first  core.NeededObject
	count  int
	push   bool
}

func (e *notThereError) Error() string {
	text := fmt.Sprintf("%s does not have %s", e.remote.Name, objectText(e.first))
	if e.push {
		text += ", and neither has this clone"
	}
	if e.count > 1 {
		text += fmt.Sprintf(", and %d more", e.count-1)
	}
	if !e.push {
		text += ": it was not pushed from where it was recorded"
	}
	return text
}

// objectText names an object for people.
func objectText(o core.NeededObject) string {
	text := o.Kind + " " + o.Name
	if o.Path != "" && o.Path != o.Name {
		text += " (" + o.Path + ")"
	}
	if o.Commit.ID != "" {
		text += fmt.Sprintf(" of %.10s", o.Commit.ID)
	}
	return text + " " + o.Digest.Short()
}

// lacking is the error of a transfer that could not have all.
func lacking(done *core.Transfers, d direction) error {
	for _, t := range done.List {
		if len(t.Missing) > 0 {
			return &notThereError{remote: t.Remote, first: t.Missing[0], count: len(t.Missing), push: d.push}
		}
	}
	return nil
}

// sayTransfers sums up what was moved before err, if there is one.
func (u *ui) sayTransfers(done *core.Transfers, dryRun bool, d direction, err error) {
	nothing := "nothing to " + strings.TrimPrefix(d.would, "would ") + ": kept.lock names nothing"
	if len(done.List) == 0 && len(done.Without) == 0 && err == nil {
		u.say("%s", nothing)
	}
	for i, t := range done.List {
		verb := d.done
		failed := err != nil && i == len(done.List)-1
		if dryRun {
			verb = d.would
		}
		if t.Damaged > 0 {
			u.say("%s %s", u.paint(yellow, "warning:"), clean(damagedText(t, dryRun)))
		}
		switch {
		case t.Objects == 0 && t.Present == 0:
			if len(t.Missing) == 0 && !failed {
				u.say("%s", nothing)
			}
		case t.Objects == 0 && (failed || len(t.Missing) > 0):
			// The error says it.
		case t.Objects == 0 && d.push:
			u.say("%s has it all: %s", clean(t.Remote.Name), plural(t.Present, "object"))
		case t.Objects == 0:
			u.say("nothing to fetch: %s here", objectsAre(t.Present))
		default:
			u.say("%s %s %s %s: %s", verb, plural(t.Objects, "object"), d.way, clean(t.Remote.Name), carriedText(t, d, dryRun))
		}
	}
	for _, dir := range done.Without {
		u.say("%s no remote is configured for %s", u.paint(yellow, "warning:"), clean(pathOrTop(dir)))
	}
}

// damagedText says what push has found damaged on a remote.
func damagedText(t core.Transfer, dryRun bool) string {
	was, sent := "was", "is sent again"
	if t.Damaged > 1 {
		was = "were"
	}
	if dryRun {
		sent = "would be sent again"
	}
	return fmt.Sprintf("%s on %s %s damaged; what is needed of that %s", plural(t.Damaged, "pack"), t.Remote.Name, was, sent)
}

func pathOrTop(dir string) string {
	if dir == "" {
		return "the top of the repository"
	}
	return dir
}

func objectsAre(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return plural(n, "object") + " are"
}

func carriedText(t core.Transfer, d direction, dryRun bool) string {
	word := "received"
	if d.push {
		word = "sent"
	}
	if dryRun {
		word = "to move"
	}
	text := report.Size(t.Bytes) + " " + word
	if t.Reused > 0 {
		text += ", " + report.Size(t.Reused) + " was there"
	}
	if t.Present > 0 {
		text += fmt.Sprintf("; %s there already", plural(t.Present, "object"))
	}
	return text
}

type transfersJSON struct {
	Version   int            `json:"version"`
	DryRun    bool           `json:"dry_run"`
	Transfers []transferJSON `json:"transfers"`
	// Restored are paths that pull put into the working tree.
	Restored []string `json:"restored,omitempty"`
}

type transferJSON struct {
	Remote  string       `json:"remote"`
	URL     string       `json:"url"`
	Objects int          `json:"objects"`
	Present int          `json:"present"`
	Bytes   int64        `json:"bytes"`
	Reused  int64        `json:"reused"`
	Damaged int          `json:"damaged"`
	Missing []neededJSON `json:"missing"`
}

type neededJSON struct {
	Object string `json:"object"`
	nameJSON
}

func transferShape(done *core.Transfers, dryRun bool) transfersJSON {
	shape := transfersJSON{Version: 1, DryRun: dryRun, Transfers: []transferJSON{}}
	for _, t := range done.List {
		one := transferJSON{t.Remote.Name, t.Remote.Text, t.Objects, t.Present, t.Bytes, t.Reused, t.Damaged, []neededJSON{}}
		for _, o := range t.Missing {
			one.Missing = append(one.Missing, neededJSON{o.Digest.String(), nameJSON{o.Kind, o.Name, o.Path, o.Lock, o.Commit.ID}})
		}
		shape.Transfers = append(shape.Transfers, one)
	}
	return shape
}

func (s *transfersJSON) restored(report *core.Restored) {
	s.Restored = append(s.Restored, report.Placed...)
}

var _ cas.Meter = (*transferMeter)(nil)
