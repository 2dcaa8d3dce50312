package main

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
)

func newRestore(u *ui) *cobra.Command {
	var source string
	var all bool
	cmd := &cobra.Command{
		Use:   "restore [PATH...]",
		Short: "Make the artifacts in the working tree match kept.lock",
		Long: `Restore brings artifacts back from the store, as the hooks do after every
checkout. Content that no store has is saved first; the message says under which
digest. PATH is an artifact's name or path, a folder, or an input that was kept.

With --source, the content comes from another revision's lock, or is a saved
content itself, and kept.lock stays as it is.`,
		Example: `  kept restore
  kept restore models/model.pkl
  kept restore --source v1.2 model
  kept restore --source blake3:9b1e6d20c4 models/model.pkl`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if strings.HasPrefix(source, cas.Prefix) {
				return u.restoreObject(cmd, source, paths)
			}
			return eachProject(cmd.Context(), all, func(p *core.Project) error {
				meter := u.watch(p.Repository, "reading")
				report, err := restoreFrom(cmd, p, source, paths)
				meter.pause()
				return u.reportRestored(p.Repository, report, err)
			})
		},
	}
	cmd.Flags().StringVarP(&source, "source", "s", "", "a `revision`, or the digest of a saved content")
	cmd.Flags().BoolVar(&all, "all", false, "restore every kept.lock of the repository")
	return addExits(cmd, "2 wrong usage", "3 something could not be restored")
}

func restoreFrom(cmd *cobra.Command, p *core.Project, source string, paths []string) (*core.Restored, error) {
	paths, err := experimentPaths(p, paths)
	if err != nil {
		return nil, err
	}
	if source == "" {
		return p.Restore(cmd.Context(), paths)
	}
	return p.RestoreFrom(cmd.Context(), source, paths)
}

// restoreObject puts a saved content at a path, which no experiment has to know.
func (u *ui) restoreObject(cmd *cobra.Command, source string, paths []string) error {
	if len(paths) != 1 {
		return &usageError{err: errOnePath, command: "kept restore"}
	}
	r, err := core.OpenRepository(".")
	if err != nil {
		return err
	}
	file, err := worktreePath(r, paths[0])
	if err != nil {
		return err
	}
	report, err := r.RestoreObject(cmd.Context(), source, file)
	_ = r.Close()
	return u.reportRestored(r, report, err)
}

func (u *ui) reportRestored(r *core.Repository, report *core.Restored, err error) error {
	if report != nil {
		u.sayRestored(r, report, false)
	}
	if err == nil && len(report.Missing)+len(report.Left) > 0 {
		return errInconclusive
	}
	return err
}

// sayRestored reports what happened to the working tree. In a hook, what went
// as expected is one line.
func (u *ui) sayRestored(repo *core.Repository, r *core.Restored, hook bool) {
	show := func(file string) string { return clean(u.display(repo, file)) }
	prefix := ""
	if hook {
		prefix = "kept: "
	}
	if len(r.Placed) > 0 {
		u.say("%srestored %s", prefix, list(r.Placed, show))
	}
	if len(r.Removed) > 0 {
		u.say("%sremoved %s, which kept.lock does not name here", prefix, list(r.Removed, show))
	}
	if !hook && len(r.Placed)+len(r.Removed)+len(r.Missing)+len(r.Left) == 0 {
		u.say("nothing to restore: %s as kept.lock says", artifactsAre(r.Same))
	}
	for _, s := range r.Saved {
		u.saySaved(repo, s)
	}
	for _, m := range r.Missing {
		u.say("%s%s can't be restored: no store here has %s", prefix, show(m.Path), m.Hash.Short())
	}
	if len(r.Missing) > 0 {
		u.say("%s %s", u.paint(yellow, "hint:"), hintMissing(filepath.FromSlash(path.Join(".", u.gitPrefix))))
	}
	for _, l := range r.Left {
		u.say("%s%s is left as it is: %s", prefix, show(l.Path), clean(l.Err.Error()))
	}
}

func artifactsAre(n int) string {
	if n == 1 {
		return "1 artifact is"
	}
	return plural(n, "artifact") + " are"
}

// saySaved says where a content went that was in no lock, and how to get it back.
func (u *ui) saySaved(repo *core.Repository, s core.SavedContent) {
	file := u.display(repo, s.Path)
	u.say("kept: %s held content that was in no lock; it is saved as %s", clean(file), s.Hash.Short())
	u.say("%s kept restore --source %s %s", u.paint(yellow, "hint:"), s.Hash.Short(), clean(pathWord(file)))
}

// list names a few things and counts the rest.
func list(names []string, show func(string) string) string {
	const most = 4
	var shown []string
	for i, n := range names {
		if i == most && len(names) > most+1 {
			return strings.Join(shown, ", ") + fmt.Sprintf(" and %d more", len(names)-most)
		}
		shown = append(shown, show(n))
	}
	return strings.Join(shown, ", ")
}
