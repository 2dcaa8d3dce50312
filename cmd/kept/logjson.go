package main

import (
	"time"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

type logJSON struct {
	Version    int              `json:"version"`
	Experiment string           `json:"experiment"`
	Shallow    bool             `json:"shallow"`
	Metrics    []metricJSON     `json:"metrics"`
	Commits    []logVersionJSON `json:"commits"`
}

type metricJSON struct {
	Name   string `json:"name"`
	Stage  string `json:"stage"`
	Key    string `json:"key"`
	Better string `json:"better,omitempty"`
	Last   any    `json:"last"`
}

// versionJSON is a commit; what is not committed yet has only Uncommitted.
type versionJSON struct {
	Commit      string     `json:"commit,omitempty"`
	Author      string     `json:"author,omitempty"`
	Time        *time.Time `json:"time,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Uncommitted bool       `json:"uncommitted,omitempty"`
	Boundary    bool       `json:"boundary,omitempty"`
}

type logVersionJSON struct {
	versionJSON
	Error   string             `json:"error,omitempty"`
	Metrics []metricChangeJSON `json:"metrics"`
	Params  []causeJSON        `json:"params"`
}

type metricChangeJSON struct {
	Name    string `json:"name"`
	Old     any    `json:"old"`
	New     any    `json:"new"`
	Change  any    `json:"change"`
	Verdict string `json:"verdict,omitempty"`
}

type causeJSON struct {
	Stage string `json:"stage"`
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Old   any    `json:"old"`
	New   any    `json:"new"`
}

func (l *metricLog) shape(rel string) logJSON {
	shape := logJSON{Version: 1, Experiment: rel, Shallow: l.history.Shallow, Metrics: []metricJSON{}, Commits: []logVersionJSON{}}
	for _, m := range l.chosen {
		shape.Metrics = append(shape.Metrics, metricJSON{Name: m.String(), Stage: m.Stage, Key: m.Key,
			Better: l.rules.Direction(m.String()).String(), Last: core.JSONValue(l.last(m))})
	}
	for _, row := range l.rows {
		j := logVersionJSON{versionJSON: versionShape(row.version), Metrics: []metricChangeJSON{}, Params: causeShapes(row.params)}
		if row.version.Err != nil {
			j.Error = row.version.Err.Error()
		}
		for _, c := range row.metrics {
			change, verdict := l.moved(c)
			j.Metrics = append(j.Metrics, metricChangeJSON{c.String(), core.JSONValue(c.old), core.JSONValue(c.new), change, verdict})
		}
		shape.Commits = append(shape.Commits, j)
	}
	return shape
}

// moved returns the difference as a value for JSON, nil where there is none.
func (l *metricLog) moved(c metricChange) (change any, verdict string) {
	d, ok := metrics.Compare(c.old, c.new, l.rules.Direction(c.String()))
	if !ok {
		return nil, ""
	}
	return core.JSONValue(d.Absolute), report.DeltaWord(d)
}

func versionShape(v *history.Version) versionJSON {
	if v.Uncommitted() {
		return versionJSON{Uncommitted: true}
	}
	j := versionJSON{Commit: v.Commit.ID, Author: v.Commit.Author, Subject: v.Commit.Subject, Boundary: v.Commit.Boundary}
	if !v.Beyond {
		at := v.Commit.Time.UTC()
		j.Time = &at
	}
	return j
}

func causeShapes(changes []lockfile.Change) []causeJSON {
	shapes := []causeJSON{}
	for _, c := range changes {
		shapes = append(shapes, causeJSON{c.Stage, c.Kind.String(), c.Name, report.Side(c.Old), report.Side(c.New)})
	}
	return shapes
}
