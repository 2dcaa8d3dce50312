package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/check"
	"github.com/kept-dev/kept/core"
)

func newRemote(u *ui) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remote",
		Short: "Add, list, remove, trust or check remotes",
		Long: `A remote is where artifacts go with push and come from with fetch and pull. It
stands in kept.toml, where everybody who clones the repository has it, or in the
settings of this clone alone. The one called default, or the only one, is used
where no other is named. Credentials are never written down there.`,
		Args: args(cobra.NoArgs),
	}
	cmd.AddCommand(newRemoteAdd(u), newRemoteList(u), newRemoteRemove(u), newRemoteTrust(u), newRemoteCheck(u))
	return cmd
}

func newRemoteAdd(u *ui) *cobra.Command {
	var options []string
	var local bool
	cmd := &cobra.Command{
		Use:   "add NAME URL",
		Short: "Add a remote to kept.toml, or with --local to this clone alone",
		Long: `Add writes [remote.NAME] into kept.toml, to be committed. A folder outside of the
repository goes into the settings of this clone instead. What you add you trust:
kept uses your credentials for it.`,
		Example: `  kept remote add default s3://team-models/sentiment -o region=eu-central-1
  kept remote add default /mnt/share/models
  kept remote add mine s3://scratch --local`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			settings, err := remoteOptions(options)
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			here, err := os.Getwd()
			if err != nil {
				return err
			}
			if u, err := remote.ParseURL(a[1]); err == nil {
				if err := checkRemote(cmd.Context(), a[0], u, settings); err != nil {
					return err
				}
			}
			m, err := p.AddRemote(a[0], a[1], here, settings, local)
			if err != nil {
				return err
			}
			u.sayRemote(p, m, local)
			if h := hintAdded(cmd.Context(), p, m.Name); h != "" {
				u.say("%s %s", u.paint(yellow, "hint:"), h)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&options, "option", "o", nil, "a setting of the remote, such as `region=eu-central-1`")
	cmd.Flags().BoolVar(&local, "local", false, "for this clone alone, not in kept.toml")
	return addExits(cmd, "2 wrong usage or configuration")
}

// sayRemote says where a remote was added.
func (u *ui) sayRemote(p *core.Project, m *core.Remote, local bool) {
	switch {
	case m.Committed():
		u.say("added remote %s to %s", clean(m.Name), clean(u.display(p.Repository, m.File)))
	case local:
		u.say("added remote %s to this clone alone", clean(m.Name))
	default:
		u.say("added remote %s to this clone alone: kept.toml can't name a folder outside of the repository", clean(m.Name))
	}
}

// remoteOptions reads key=value.
func remoteOptions(options []string) (map[string]string, error) {
	settings := map[string]string{}
	for _, o := range options {
		key, value, ok := strings.Cut(o, "=")
		if !ok || key == "" || key == "url" {
			return nil, fmt.Errorf("--option %q is not key=value", o)
		}
		settings[key] = value
	}
	return settings, nil
}

// checkRemote refuses a kind of remote that there is none of, and what that kind does not know.
// It asks no remote.
func checkRemote(ctx context.Context, name string, u *remote.URL, settings remote.Settings) error {
	r, err := schemes().Open(ctx, u, settings)
	if err == nil {
		return r.Close()
	}
	var failed *remote.Error
	switch {
	case !errors.As(err, &failed):
		return err
	case failed.Kind != nil:
		return nil // It is written as it should be.
	}
	return &core.RemoteConfigError{Name: name, Err: failed.Err}
}

func newRemoteList(u *ui) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the remotes, where they are written, and whether they are trusted",
		Args:  args(cobra.NoArgs),
		RunE: func(_ *cobra.Command, _ []string) error {
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			list, err := p.Remotes()
			if err != nil {
				return err
			}
			shapes := []remoteJSON{}
			for i := range list {
				shape, err := remoteShape(p.Repository, list, &list[i])
				if err != nil {
					return err
				}
				shapes = append(shapes, shape)
			}
			if asJSON {
				return u.json(struct {
					Version int          `json:"version"`
					Remotes []remoteJSON `json:"remotes"`
				}{1, shapes})
			}
			return u.printRemotes(p, list, shapes)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return addExits(cmd, "2 wrong usage or configuration")
}

func (u *ui) printRemotes(p *core.Project, list []core.Remote, shapes []remoteJSON) error {
	if len(list) == 0 {
		u.say("no remote is configured")
		u.say("%s kept remote add default URL", u.paint(yellow, "hint:"))
		return nil
	}
	dial := u.dial(0, false)
	var rows [][]string
	untrusted := ""
	for i, m := range list {
		where := "this clone"
		if m.Committed() {
			where = u.display(p.Repository, m.File)
		}
		state := u.paint(green, "trusted")
		if !shapes[i].Trusted {
			public, err := dial.Public(&list[i])
			if err != nil {
				return err
			}
			if public {
				state = "read without a login"
			} else {
				state = u.paint(yellow, "not trusted yet")
				untrusted = m.Name
			}
		}
		rows = append(rows, []string{clean(m.Name), clean(m.Text), clean(where), state, clean(strings.Join(list[i].Pairs(), " "))})
	}
	u.printf("%s", strings.ReplaceAll(table(rows, ""), "  \n", "\n"))
	if untrusted != "" {
		u.say("%s kept remote trust %s", u.paint(yellow, "hint:"), word(untrusted))
	}
	return nil
}

type remoteJSON struct {
	Name      string            `json:"name"`
	URL       string            `json:"url"`
	Settings  map[string]string `json:"settings"`
	Committed bool              `json:"committed"`
	File      string            `json:"file"`
	Default   bool              `json:"default"`
	Trusted   bool              `json:"trusted"`
}

func remoteShape(r *core.Repository, list []core.Remote, m *core.Remote) (remoteJSON, error) {
	trusted, err := r.Trusted(m)
	shape := remoteJSON{Name: m.Name, URL: m.Text, Settings: m.Settings, Committed: m.Committed(), File: m.File, Trusted: trusted}
	if !m.Committed() {
		shape.File = r.Local.Config()
	}
	if chosen, err := core.ChooseRemote(list, ""); err == nil {
		shape.Default = chosen.Name == m.Name
	}
	return shape, err
}

func newRemoteRemove(u *ui) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a remote; what is there stays there",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			file, err := p.RemoveRemote(a[0])
			if err != nil {
				return err
			}
			where := "this clone"
			if file != p.Local.Config() {
				where = u.display(p.Repository, file)
			}
			u.say("removed remote %s from %s; what is there stays there", clean(a[0]), clean(where))
			return nil
		},
	}
	cmd.ValidArgsFunction = completeRemotes
	return addExits(cmd, "2 wrong usage or configuration")
}

func newRemoteTrust(u *ui) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust [NAME]",
		Short: "Let kept use your credentials for a remote that kept.toml names",
		Long: `Trust says that kept may use your credentials for the remote, and send artifacts
there, as kept.toml has it now: with another URL or another setting it has to be
trusted again. It holds for this clone.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, m, err := openRemoteOf(cmd, append(a, "")[0])
			if err != nil {
				return err
			}
			if err := p.Trust(m); err != nil {
				return err
			}
			u.say("kept uses your credentials for %s from now on", clean(m.Where()))
			return nil
		},
	}
	cmd.ValidArgsFunction = completeRemotes
	return addExits(cmd, "2 wrong usage or configuration")
}

func openRemoteOf(cmd *cobra.Command, name string) (*core.Project, *core.Remote, error) {
	p, err := core.Open(".")
	if err != nil {
		return nil, nil, err
	}
	list, err := p.Remotes()
	if err != nil {
		return nil, nil, err
	}
	m, err := core.ChooseRemote(list, name)
	return p, m, nameCommand(err, cmd.CommandPath())
}

// nameCommand has the hint for a remote that has to be named say so with that command.
func nameCommand(err error, command string) error {
	var none *core.NoRemoteError
	if errors.As(err, &none) {
		none.Command = command
	}
	return err
}

// completeRemotes offers the names of remotes.
func completeRemotes(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := core.Open(".")
	if err != nil || len(given) > 0 {
		return offered(nil)
	}
	list, err := p.Remotes()
	if err != nil {
		return offered(nil)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return offered(names)
}

func newRemoteCheck(u *ui) *cobra.Command {
	var asJSON, quick bool
	cmd := &cobra.Command{
		Use:   "check [NAME]",
		Short: "Try out whether a remote does all that kept relies on",
		Long: `Check puts small files into the remote, in a folder of its own, reads them, lists
them, removes them again where it can, and says what is not as it has to be. A
read-only remote is looked at as far as that goes.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, m, err := openRemoteOf(cmd, append(a, "")[0])
			if err != nil {
				return err
			}
			dial := u.dial(0, true)
			dial.Open = openToCheck
			open := func(ctx context.Context) (remote.Remote, error) { return p.OpenRemote(ctx, dial, m) }
			opened, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer opened.Close()
			results := u.runChecks(cmd.Context(), check.Place{Remote: opened, Open: open}, quick, !asJSON)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON {
				if err := u.json(checksShape(m, results)); err != nil {
					return err
				}
			}
			return u.judgeChecks(m, results)
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "leave out the cases that move much")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.ValidArgsFunction = completeRemotes
	return addExits(cmd, "2 wrong usage or configuration", "4 the remote does not do what it has to")
}

// checkResult is how a case went.
type checkResult struct {
	name, skipped string
	err           error
}

// caseLimit is how long one case may take.
const caseLimit = 5 * time.Minute

func (u *ui) runChecks(ctx context.Context, place check.Place, quick, tell bool) []checkResult {
	var results []checkResult
	denied := map[string]bool{} // operations
	for _, c := range check.Cases() {
		if ctx.Err() != nil || quick && c.Large {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, caseLimit)
		err := c.Run(limited, place)
		cancel()
		r := checkResult{name: c.Name, err: err}
		if reason, skipped := check.Skipped(err); skipped {
			r.skipped, r.err = reason, nil
		}
		if op := deniedOp(r.err); denied[op] {
			r.skipped, r.err = op+" is not allowed", nil // that was said once
		} else if op != "" {
			denied[op] = true
		}
		results = append(results, r)
		if r.err != nil && tell && ctx.Err() == nil {
			u.printf("%s %s: %s\n", u.paint(red, "failed:"), clean(c.Name), clean(r.err.Error()))
		}
		if errors.Is(err, remote.ErrNoRemote) || errors.Is(err, remote.ErrCredentials) || errors.Is(err, remote.ErrHostKey) || errors.Is(err, remote.ErrAddress) {
			return results // All others would say the same.
		}
	}
	return results
}

// deniedOp returns the operation that the remote does not allow, if err says so.
func deniedOp(err error) string {
	var failed *remote.Error
	if errors.Is(err, remote.ErrDenied) && errors.As(err, &failed) {
		return failed.Op
	}
	return ""
}

// remoteCheckError is a remote that does not do what it has to.
type remoteCheckError struct {
	remote *core.Remote
	failed int
	// first is what one of the cases said.
	first error
}

func (e *remoteCheckError) Error() string {
	return fmt.Sprintf("%s does not do what a remote has to: %s failed", e.remote.Name, plural(e.failed, "case"))
}

func (e *remoteCheckError) Unwrap() error { return e.first }

func (u *ui) judgeChecks(m *core.Remote, results []checkResult) error {
	failed := &remoteCheckError{remote: m}
	skipped := map[string]int{}
	passed := 0
	for _, r := range results {
		switch {
		case r.err != nil:
			failed.failed++
			if failed.first == nil {
				failed.first = r.err
			}
		case r.skipped != "":
			skipped[r.skipped]++
		default:
			passed++
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		u.say("%s left out: %s", plural(skipped[reason], "case"), clean(reason))
	}
	switch {
	case failed.failed > 0:
		return failed
	case skipped[check.ReadOnly] > 0:
		u.say("%s can be read as kept relies on (%s)", clean(m.Name), plural(passed, "case"))
	default:
		u.say("%s does all that kept relies on (%s)", clean(m.Name), plural(passed, "case"))
	}
	return nil
}

type caseJSON struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Skipped string `json:"skipped,omitempty"`
	Error   string `json:"error,omitempty"`
}

func checksShape(m *core.Remote, results []checkResult) any {
	shape := struct {
		Version int        `json:"version"`
		Remote  string     `json:"remote"`
		URL     string     `json:"url"`
		Cases   []caseJSON `json:"cases"`
	}{1, m.Name, m.Text, []caseJSON{}}
	for _, r := range results {
		c := caseJSON{Name: r.name, Passed: r.err == nil && r.skipped == "", Skipped: r.skipped}
		if r.err != nil {
			c.Error = r.err.Error()
		}
		shape.Cases = append(shape.Cases, c)
	}
	return shape
}
