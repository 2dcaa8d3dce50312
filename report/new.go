package report

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// New puts a comparison of the experiment in the folder rel into words. The
// rules say which way metrics get better; there may be none.
func New(rel string, c *core.Comparison, rules metrics.Rules) *Review {
	if rel == "" {
		rel = "."
	}
	r := &Review{Experiment: rel, Old: revision(c.Old), New: revision(c.New)}
	for i := 0; i < len(c.Changes); {
		n := i
		for n < len(c.Changes) && c.Changes[n].Stage == c.Changes[i].Stage {
			n++
		}
		r.Stages = append(r.Stages, newStage(c.Changes[i:n], rules))
		i = n
	}
	for _, stage := range slices.Sorted(maps.Keys(c.New.Lock.Stages)) {
		values := c.New.Lock.Stages[stage].Metrics
		for _, key := range slices.Sorted(maps.Keys(values)) {
			r.Metrics = append(r.Metrics, MetricValue{stage, key, values[key], rules.Direction(metrics.Name(stage, key))})
		}
	}
	return r
}

// Show puts one lock into words, compared with nothing.
func Show(rel string, side core.Side, rules metrics.Rules) *Review {
	c := &core.Comparison{New: side}
	for _, change := range lockfile.Diff(nil, side.Lock) {
		c.Changes = append(c.Changes, core.Change{Change: change})
	}
	r := New(rel, c, rules)
	for i := range r.Stages {
		r.Stages[i].Fate = Changed
		for _, section := range r.Stages[i].Sections {
			for k := range section.Rows {
				section.Rows[k].Fate = Changed
			}
		}
	}
	return r
}

func revision(s core.Side) Revision { return Revision{Name: s.Rev, Commit: s.Commit} }

// sections are in the order of review.
var sections = []struct {
	title string
	kinds []lockfile.Kind
}{
	{"command", []lockfile.Kind{lockfile.KindCommand}},
	{"params", []lockfile.Kind{lockfile.KindParam}},
	{"metrics", []lockfile.Kind{lockfile.KindMetric}},
	{"artifacts", []lockfile.Kind{lockfile.KindArtifact}},
	{"inputs", []lockfile.Kind{lockfile.KindInput}},
	{"code", []lockfile.Kind{lockfile.KindCode}},
	{"environment", []lockfile.Kind{lockfile.KindEnvironment, lockfile.KindEnvironmentFile}},
	{"history", []lockfile.Kind{lockfile.KindHistory}},
	{"other", []lockfile.Kind{lockfile.KindOther}},
}

func newStage(changes []core.Change, rules metrics.Rules) Stage {
	s := Stage{Name: changes[0].Stage}
	if first := changes[0]; first.Kind == lockfile.KindStage {
		s.Fate = fate(first)
	}
	for _, section := range sections {
		var rows []Row
		for _, kind := range section.kinds {
			for _, c := range changes {
				if c.Kind == kind {
					rows = append(rows, NewRow(c, rules))
				}
			}
		}
		if len(rows) > 0 {
			s.Sections = append(s.Sections, Section{Kind: section.kinds[0], Title: section.title, Rows: rows})
		}
	}
	return s
}

func fate(c core.Change) Fate {
	switch {
	case c.From != "":
		return Renamed
	case c.Added():
		return Added
	case c.Removed():
		return Removed
	}
	return Changed
}

// NewRow puts one change into words.
func NewRow(c core.Change, rules metrics.Rules) Row {
	row := Row{Name: c.Name, Fate: fate(c), Old: Text(c.Old), New: Text(c.New), OldEntry: c.Old, NewEntry: c.New}
	switch {
	case row.Fate == Renamed:
		row.Old = c.From
	case c.Kind == lockfile.KindMetric:
		texts := metrics.Texts(c.Old, c.New)
		row.Old, row.New = texts[0], texts[1]
		row.Better = rules.Direction(metrics.Name(c.Stage, c.Name))
		if d, ok := metrics.Compare(c.Old, c.New, row.Better); ok {
			row.Delta = &d
		}
	case c.Kind == lockfile.KindArtifact:
		if old, new := artifactPath(c.Old), artifactPath(c.New); old != new && old != "" && new != "" {
			row.Old, row.New = old+" "+row.Old, new+" "+row.New
		}
	}
	for _, f := range c.Files {
		row.Rows = append(row.Rows, fileRow(f))
	}
	for _, p := range c.Packages {
		row.Rows = append(row.Rows, Row{Name: p.Name, Old: p.Old, New: p.New, Fate: sidesFate(p.Old != "", p.New != "")})
	}
	return row
}

func fileRow(f core.FileChange) Row {
	row := Row{Name: f.Path, Fate: sidesFate(f.Old != nil, f.New != nil)}
	if f.Old != nil {
		row.Old, row.OldEntry = Size(f.Old.Size), f.Old
	}
	if f.New != nil {
		row.New, row.NewEntry = Size(f.New.Size), f.New
	}
	if f.From != "" {
		row.Fate, row.Old = Renamed, f.From
	}
	return row
}

func sidesFate(hadOld, hasNew bool) Fate {
	switch {
	case !hadOld:
		return Added
	case !hasNew:
		return Removed
	}
	return Changed
}

func artifactPath(side any) string {
	if a, ok := side.(*lockfile.Artifact); ok {
		return a.Path
	}
	return ""
}

// Text is one side of a change, "" where there is none.
func Text(side any) string {
	switch v := side.(type) {
	case nil:
		return ""
	case *lockfile.Artifact:
		return contentText(v.Hash, v.Size, v.Folder, v.Files)
	case *lockfile.Input:
		if v.Sized {
			return contentText(v.Hash, v.Size, v.Folder, v.Files)
		}
		return hashText(v.Hash)
	case cas.Digest:
		return hashText(v)
	case string:
		return v
	}
	return lockfile.FormatValue(side)
}

func contentText(hash cas.Digest, size int64, folder bool, files int64) string {
	switch {
	case !folder:
		return fmt.Sprintf("%s (%s)", hashText(hash), Size(size))
	case files == 1:
		return fmt.Sprintf("%s (1 file, %s)", hashText(hash), Size(size))
	}
	return fmt.Sprintf("%s (%d files, %s)", hashText(hash), files, Size(size))
}

// hashText is enough of a hash to tell versions apart.
func hashText(d cas.Digest) string { return d.Hex()[:10] }
