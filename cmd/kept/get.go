package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

func newGet(u *ui) *cobra.Command {
	var o core.GetOptions
	var jobs int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "get URL[@REV] NAME",
		Short: "Take an artifact out of another repository",
		Long: `Get fetches one commit of another Git repository, without its history and its
files, and the artifact that kept.lock there calls NAME, from the store of that
repository if it is on this machine, else from its remote. URL is what git clone
takes; REV a branch, a tag or a commit. NAME is an artifact's name or path; of an
experiment in a folder it is FOLDER:NAME. What is there already is not replaced.

The remote is one that somebody else's repository names, so your credentials are
used for it only if you say so, when asked or with --trust.`,
		Example: `  kept get https://example.org/team/sentiment vectorizer
  kept get git@example.org:team/sentiment@v1.2 model -o models/theirs.pkl
  kept get ../monorepo ranking:model`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			o.URL, o.Rev = core.SplitSource(a[0])
			o.Name = a[1]
			o.Dial = u.dial(jobs, true)
			meter := u.watchTransfer("getting")
			o.Meter = meter.of
			got, err := core.Get(cmd.Context(), o)
			meter.stop()
			var untrusted *core.UntrustedError
			if errors.As(err, &untrusted) {
				untrusted.Command = trustingGet(o, a)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return u.json(gotShape(got))
			}
			u.sayGot(got)
			return nil
		},
	}
	cmd.Flags().StringVarP(&o.Output, "output", "o", "", "where to put it, instead of its base name here; a `path`, or a folder and /")
	cmd.Flags().StringVarP(&o.Remote, "remote", "r", "", "the `name` of the remote there")
	cmd.Flags().IntVarP(&jobs, "jobs", "j", 0, "how many requests run at once")
	cmd.Flags().BoolVar(&o.Trust, "trust", false, "use your credentials for the remote that the repository names")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return addExits(cmd, transferExits...)
}

// trustingGet is the command that was typed, with a yes.
func trustingGet(o core.GetOptions, a []string) string {
	command := "kept get --trust"
	if o.Output != "" {
		command += " -o " + pathWord(o.Output)
	}
	if o.Remote != "" {
		command += " -r " + word(o.Remote)
	}
	return command + " " + pathWord(a[0]) + " " + word(a[1])
}

func (u *ui) sayGot(got *core.Got) {
	if got.Same {
		u.say("%s is there already: %s of %.10s, %s", clean(got.Output), clean(got.Name), got.Commit, got.Artifact.Hash.Short())
		return
	}
	moved := ""
	if got.Transfer.Bytes > 0 {
		moved = fmt.Sprintf(", %s received", report.Size(got.Transfer.Bytes))
	}
	u.say("%s: %s of %.10s, %s, from %s%s", clean(got.Output), clean(got.Name), got.Commit, got.Artifact.Hash.Short(), clean(got.From), moved)
}

func gotShape(got *core.Got) any {
	return struct {
		Version int    `json:"version"`
		Name    string `json:"name"`
		Path    string `json:"path"`
		Object  string `json:"object"`
		Size    int64  `json:"size"`
		Commit  string `json:"commit"`
		Output  string `json:"output"`
		Same    bool   `json:"same"`
		From    string `json:"from,omitempty"`
		Bytes   int64  `json:"bytes"`
	}{1, got.Name, got.Path, got.Artifact.Hash.String(), got.Artifact.Size, got.Commit, got.Output, got.Same, got.From, got.Transfer.Bytes}
}
