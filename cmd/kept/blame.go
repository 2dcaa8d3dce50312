package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/history"
)

func newBlame(u *ui) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "blame [METRIC...]",
		Short: "Show which commit gave each metric its value",
		Long: `Blame shows for the metrics in kept.lock, or for those that METRIC names, the
commit that set the value which they have now, and the parameters, inputs and
code that changed there. It compares values: a lock that was sorted anew, or
that came through a merge, is nobody's doing.`,
		Example: `  kept blame
  kept blame accuracy "evaluate.*"`,
		ValidArgsFunction: completeMetrics,
		RunE: func(cmd *cobra.Command, words []string) error {
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			defer p.Close()
			blamed, h, err := p.Blame(cmd.Context(), words)
			if err != nil {
				return err
			}
			if asJSON {
				return u.json(blameShape(p.Rel, blamed))
			}
			u.printBlame(blamed)
			u.sayShallow(h)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return addExits(cmd, "2 wrong usage or a lock that can't be read", "3 no such metric")
}

func (u *ui) printBlame(blamed []history.Blamed) {
	if len(blamed) == 0 {
		u.say("no metric is recorded here")
	}
	var cells [][]string
	for _, b := range blamed {
		cells = append(cells, []string{clean(b.Metric.String()), metricText(b.Value), versionID(b.By), versionDate(b.By),
			clean(cut(b.By.Commit.Author, 24)), blameSubject(b.By)})
	}
	lines := strings.Split(table(cells, ""), "\n")
	for i, b := range blamed {
		u.printf("%s\n", strings.TrimRight(u.fit(lines[i]), " "))
		// What one commit changed is said once, behind the last metric that it set.
		if i+1 < len(blamed) && blamed[i+1].By == b.By {
			continue
		}
		if len(b.By.Before()) == 0 {
			continue
		}
		for _, line := range causesText(b.Causes) {
			u.printf("    %s\n", line)
		}
	}
}

func blameSubject(v *history.Version) string {
	switch {
	case v.Uncommitted():
		return "not committed yet"
	case v.Commit.Boundary:
		return clean(v.Commit.Subject) + " (or an older one)"
	}
	return rowSubject(v)
}

// sayShallow says that a history is not all there is.
func (u *ui) sayShallow(h *history.History) {
	if h.Shallow {
		u.say("this clone is shallow: what is older is not here")
		u.say("%s git fetch --unshallow", u.paint(yellow, "hint:"))
	}
}

type blameJSON struct {
	Version    int               `json:"version"`
	Experiment string            `json:"experiment"`
	Metrics    []blamedValueJSON `json:"metrics"`
}

type blamedValueJSON struct {
	Name    string      `json:"name"`
	Stage   string      `json:"stage"`
	Key     string      `json:"key"`
	Value   any         `json:"value"`
	Commit  versionJSON `json:"by"`
	Changes []causeJSON `json:"changes"`
}

func blameShape(rel string, blamed []history.Blamed) blameJSON {
	shape := blameJSON{Version: 1, Experiment: rel, Metrics: []blamedValueJSON{}}
	for _, b := range blamed {
		shape.Metrics = append(shape.Metrics, blamedValueJSON{b.Metric.String(), b.Metric.Stage, b.Metric.Key,
			core.JSONValue(b.Value), versionShape(b.By), causeShapes(b.Causes)})
	}
	return shape
}
