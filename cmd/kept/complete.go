package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/internal/lazy"
)

// completion offers words for an argument or the value of a flag. One that has
// nothing to offer says nothing: an error would end up in the user's prompt.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completeFlags gives flags of a command their completion.
func completeFlags(cmd *cobra.Command, offer completion, flags ...string) {
	for _, name := range flags {
		if err := cmd.RegisterFlagCompletionFunc(name, offer); err != nil {
			panic(err) // There is no such flag.
		}
	}
}

// harmless are the names that a shell takes for nothing but a word. Where several
// names begin alike, bash puts what they have in common on the command line
// without quotes, and names come from the repository.
var harmless = lazy.Regexp(`^[\pL\pN_@%+=:,./][\pL\pN_@%+=:,./-]*$`)

func offered(names []string) ([]string, cobra.ShellCompDirective) {
	names = slices.DeleteFunc(names, func(s string) bool { return !harmless().MatchString(s) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeMetrics offers the metrics of kept.lock.
func completeMetrics(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, err := core.Open(".")
	if err != nil {
		return offered(nil)
	}
	defer p.Close()
	lock, err := p.Lock()
	if err != nil {
		return offered(nil)
	}
	var names []string
	for _, m := range history.MetricsOf(lock) {
		names = append(names, m.String())
	}
	return offered(names)
}

// completeBad offers the metrics that the gate does not let pass.
func completeBad(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := core.Open(".")
	if err != nil {
		return offered(nil)
	}
	defer p.Close()
	// Without variables it is no CI job, and nothing is fetched.
	g, err := p.Gate(cmd.Context(), cmd.Flag("base").Value.String(), func(string) string { return "" })
	if err != nil {
		return offered(nil)
	}
	var names []string
	for _, f := range g.Verdict.Findings {
		if f.Status != metrics.Passed && !f.Result.IsZero() {
			names = append(names, f.Metric())
		}
	}
	return offered(names)
}

// completeRevisions offers branches and tags.
func completeRevisions(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	repo, err := git.Find(".")
	if err != nil {
		return offered(nil)
	}
	names, err := repo.RevisionNames(cmd.Context())
	if err != nil {
		return offered(nil)
	}
	return offered(names)
}

// completeRevisionArgs is completeRevisions for commands with at most so many of them.
func completeRevisionArgs(most int) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return offered(nil)
		}
		return completeRevisions(cmd, args, typed)
	}
}

// completeReports offers the formats of --report.
func completeReports(formats []string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, f := range formats {
			words = append(words, f+"=")
		}
		return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
}
