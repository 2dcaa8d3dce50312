package report

import (
	"slices"

	"github.com/kept-dev/kept/lockfile"
)

// group is what is listed together below the metrics.
type group struct {
	noun  string
	kinds []lockfile.Kind
}

// The groups in the order of review; what comes last is cut first.
var groups = []group{
	{"parameter", []lockfile.Kind{lockfile.KindParam}},
	{"command", []lockfile.Kind{lockfile.KindCommand}},
	{"artifact", []lockfile.Kind{lockfile.KindArtifact}},
	{"input", []lockfile.Kind{lockfile.KindInput}},
	{"code file", []lockfile.Kind{lockfile.KindCode}},
	{"environment entry", []lockfile.Kind{lockfile.KindEnvironment, lockfile.KindEnvironmentFile}},
	{"other entry", []lockfile.Kind{lockfile.KindStage, lockfile.KindHistory, lockfile.KindOther}},
}

// entry is a row with the stage that it is of.
type entry struct {
	stage string
	Row
}

// entries returns what the reviews have of a group. A curve stands for the
// history that it shows.
func (g group) entries(reviews []*Review) []entry {
	var all []entry
	for _, r := range reviews {
		drawn := map[[2]string]bool{}
		for _, c := range r.Curves {
			drawn[[2]string{c.Stage, c.Key}] = true
		}
		for _, stage := range r.Stages {
			for _, section := range stage.Sections {
				if !slices.Contains(g.kinds, section.Kind) {
					continue
				}
				for _, row := range section.Rows {
					if section.Kind != lockfile.KindHistory || !drawn[[2]string{stage.Name, row.Name}] {
						all = append(all, entry{stage.Name, row})
					}
				}
			}
		}
	}
	return all
}

// columns are what the tables of a review show.
type columns struct {
	// old is empty where there is nothing to compare with.
	old, new string
	gate     bool
}

// columnsOf names the sides: a gate has a base and a head.
func columnsOf(r *Review) columns {
	switch {
	case r.Verdict != nil:
		return columns{"base", "head", true}
	case r.alone():
		return columns{new: "value"}
	}
	return columns{old: "old", new: "new"}
}

// compares reports whether there are two sides.
func (c columns) compares() bool { return c.old != "" }

// changed is what became of the rows of a table, for its title.
func (c columns) changed() string {
	if c.compares() {
		return "changed"
	}
	return ""
}
