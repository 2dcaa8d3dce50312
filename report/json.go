package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// JSON writes all that the reviews hold, as docs/spec/report.md describes it.
// Floats that JSON can't say are the strings "nan", "inf" and "-inf"; a list is
// never null. Texts are exact; what can't be seen, and the second # of "##", is
// written as \uXXXX, so that the text does nothing in a terminal or a CI log.
func JSON(w io.Writer, reviews []*Review, o Options) error {
	shape := documentJSON{Version: 1, Kept: o.Version, Experiments: []reviewJSON{}}
	if worst, judged := status(reviews); judged {
		shape.Status = &worst
	}
	for _, r := range reviews {
		shape.Experiments = append(shape.Experiments, reviewShape(r))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(shape); err != nil {
		return fmt.Errorf("write report as JSON: %w", err)
	}
	_, err := w.Write(VisibleJSON(b.Bytes()))
	return err
}

// VisibleJSON writes what can't be seen in a JSON document, and the second # of
// "##", as escapes: the same values, and texts that do nothing in a terminal or a
// CI log. Outside of strings JSON has nothing of the kind but line breaks.
func VisibleJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || hasGlyph(r) && (r != '#' || i == 0 || text[i-1] != '#'):
			out = append(out, text[i:i+n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	return out
}

type documentJSON struct {
	Version     int             `json:"version"`
	Kept        string          `json:"kept,omitempty"`
	Status      *metrics.Status `json:"status,omitempty"`
	Experiments []reviewJSON    `json:"experiments"`
}

type reviewJSON struct {
	Experiment string       `json:"experiment"`
	Old        revisionJSON `json:"old"`
	New        revisionJSON `json:"new"`
	BaseNote   string       `json:"base_note,omitempty"`
	Verdict    *verdictJSON `json:"verdict,omitempty"`
	Stages     []stageJSON  `json:"stages"`
	Patches    []patchJSON  `json:"patches"`
	Metrics    []metricJSON `json:"metrics"`
}

type revisionJSON struct {
	Name   string `json:"name,omitempty"`
	Commit string `json:"commit,omitempty"`
}

type verdictJSON struct {
	Status   metrics.Status   `json:"status"`
	Findings []findingJSON    `json:"findings"`
	Unused   []acceptanceJSON `json:"unused_acceptances"`
}

type findingJSON struct {
	Metric     string          `json:"metric"`
	Stage      string          `json:"stage,omitempty"`
	Key        string          `json:"key,omitempty"`
	Status     metrics.Status  `json:"status"`
	Reason     string          `json:"reason,omitempty"`
	Base       any             `json:"base"`
	Head       any             `json:"head"`
	Better     string          `json:"better,omitempty"`
	Delta      *deltaJSON      `json:"delta,omitempty"`
	Rule       ruleJSON        `json:"rule"`
	Noise      *noiseJSON      `json:"noise,omitempty"`
	Acceptance *acceptanceJSON `json:"acceptance,omitempty"`
	Result     string          `json:"result,omitempty"`
}

type ruleJSON struct {
	Pattern  string         `json:"pattern"`
	Min      any            `json:"min,omitempty"`
	Max      any            `json:"max,omitempty"`
	MaxDrop  *toleranceJSON `json:"max_drop,omitempty"`
	MaxRise  *toleranceJSON `json:"max_rise,omitempty"`
	Required bool           `json:"required"`
	Warn     bool           `json:"warn"`
	Better   string         `json:"better,omitempty"`
	Line     int            `json:"line,omitempty"`
}

type toleranceJSON struct {
	Amount   any  `json:"amount"`
	Relative bool `json:"relative"`
}

type noiseJSON struct {
	BaseRuns int  `json:"base_runs"`
	HeadRuns int  `json:"head_runs"`
	BaseMean any  `json:"base_mean"`
	HeadMean any  `json:"head_mean"`
	BaseSD   any  `json:"base_sd"`
	HeadSD   any  `json:"head_sd"`
	P        any  `json:"p"`
	Within   bool `json:"within"`
}

type acceptanceJSON struct {
	Metric string `json:"metric"`
	Result string `json:"result"`
	Reason string `json:"reason"`
	Line   int    `json:"line,omitempty"`
}

type stageJSON struct {
	Name     string        `json:"name,omitempty"`
	Fate     string        `json:"fate"`
	Sections []sectionJSON `json:"sections"`
}

type sectionJSON struct {
	Kind  lockfile.Kind `json:"kind"`
	Title string        `json:"title"`
	Rows  []rowJSON     `json:"rows"`
}

type rowJSON struct {
	Name   string     `json:"name,omitempty"`
	From   string     `json:"from,omitempty"`
	Fate   string     `json:"fate"`
	Old    any        `json:"old"`
	New    any        `json:"new"`
	Better string     `json:"better,omitempty"`
	Delta  *deltaJSON `json:"delta,omitempty"`
	Rows   []rowJSON  `json:"rows,omitempty"`
}

type deltaJSON struct {
	Absolute any    `json:"absolute"`
	Relative any    `json:"relative"`
	Better   string `json:"better,omitempty"`
	Verdict  int    `json:"verdict"`
}

type patchJSON struct {
	Path  string     `json:"path"`
	From  string     `json:"from,omitempty"`
	Fate  string     `json:"fate"`
	Note  string     `json:"note,omitempty"`
	Hunks []hunkJSON `json:"hunks"`
}

type hunkJSON struct {
	OldStart int        `json:"old_start"`
	OldLines int        `json:"old_lines"`
	NewStart int        `json:"new_start"`
	NewLines int        `json:"new_lines"`
	Lines    []lineJSON `json:"lines"`
}

type lineJSON struct {
	Op   string `json:"op"`
	Text string `json:"text"`
}

type metricJSON struct {
	Stage  string `json:"stage"`
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Better string `json:"better,omitempty"`
}

// Stages returns what JSON has under "stages" for a review, for other JSON that
// shows a comparison.
func Stages(r *Review) any { return reviewShape(r).Stages }

func reviewShape(r *Review) reviewJSON {
	shape := reviewJSON{Experiment: r.Experiment, Old: revisionJSON(r.Old), New: revisionJSON(r.New), BaseNote: r.BaseNote,
		Verdict: verdictShape(r.Verdict), Stages: []stageJSON{}, Patches: patchShapes(r.Patches), Metrics: []metricJSON{}}
	for _, s := range r.Stages {
		stage := stageJSON{Name: s.Name, Fate: fateWords[s.Fate], Sections: []sectionJSON{}}
		for _, section := range s.Sections {
			stage.Sections = append(stage.Sections, sectionJSON{section.Kind, section.Title, rowShapes(section.Rows)})
		}
		shape.Stages = append(shape.Stages, stage)
	}
	for _, m := range r.Metrics {
		shape.Metrics = append(shape.Metrics, metricJSON{m.Stage, m.Key, core.JSONValue(m.Value), m.Better.String()})
	}
	return shape
}

func verdictShape(v *metrics.Verdict) *verdictJSON {
	if v == nil {
		return nil
	}
	shape := &verdictJSON{Status: v.Status, Findings: []findingJSON{}, Unused: []acceptanceJSON{}}
	for _, f := range v.Findings {
		finding := findingJSON{Metric: f.Metric(), Status: f.Status, Reason: f.Reason, Base: core.JSONValue(f.Base), Head: core.JSONValue(f.Head),
			Better: f.Direction().String(), Rule: ruleShape(f.Rule)}
		if f.Stage != "" {
			finding.Stage, finding.Key = f.Stage, f.Key
		}
		if d, ok := f.Delta(); ok {
			finding.Delta = deltaShape(d)
		}
		if n := f.Noise; n != nil {
			finding.Noise = &noiseJSON{n.BaseRuns, n.HeadRuns, core.JSONValue(n.BaseMean), core.JSONValue(n.HeadMean),
				core.JSONValue(n.BaseSD), core.JSONValue(n.HeadSD), core.JSONValue(n.P), n.Within}
		}
		if f.Acceptance != nil {
			a := acceptanceShape(*f.Acceptance)
			finding.Acceptance = &a
		}
		if !f.Result.IsZero() {
			finding.Result = f.Result.String()
		}
		shape.Findings = append(shape.Findings, finding)
	}
	for _, a := range v.Unused {
		shape.Unused = append(shape.Unused, acceptanceShape(a))
	}
	return shape
}

func ruleShape(r metrics.Rule) ruleJSON {
	shape := ruleJSON{Pattern: r.Pattern, Required: r.Required, Warn: r.Warn, Better: r.Better.String(), Line: r.Line}
	if r.Min != nil {
		shape.Min = core.JSONValue(*r.Min)
	}
	if r.Max != nil {
		shape.Max = core.JSONValue(*r.Max)
	}
	if t := r.MaxDrop; t != nil {
		shape.MaxDrop = &toleranceJSON{core.JSONValue(t.Amount), t.Relative}
	}
	if t := r.MaxRise; t != nil {
		shape.MaxRise = &toleranceJSON{core.JSONValue(t.Amount), t.Relative}
	}
	return shape
}

func acceptanceShape(a metrics.Acceptance) acceptanceJSON {
	return acceptanceJSON{a.Metric, a.Result.String(), a.Reason, a.Line}
}

func rowShapes(rows []Row) []rowJSON {
	shapes := make([]rowJSON, 0, len(rows))
	for _, r := range rows {
		shape := rowJSON{Name: r.Name, Fate: fateWords[r.Fate], Better: r.Better.String()}
		if r.Fate == Renamed {
			shape.From, r.Old = r.Old, ""
		}
		shape.Old, shape.New = entryJSON(r.OldEntry, r.Old), entryJSON(r.NewEntry, r.New)
		if d := r.Delta; d != nil {
			shape.Delta = deltaShape(*d)
		}
		if len(r.Rows) > 0 {
			shape.Rows = rowShapes(r.Rows)
		}
		shapes = append(shapes, shape)
	}
	return shapes
}

func deltaShape(d metrics.Delta) *deltaJSON {
	j := &deltaJSON{Absolute: core.JSONValue(d.Absolute), Better: d.Better.String(), Verdict: d.Verdict()}
	if !math.IsNaN(d.Relative) {
		j.Relative = core.JSONValue(d.Relative)
	}
	return j
}

// entryJSON is a side of a row: the entry, else its text, else null.
func entryJSON(entry any, text string) any {
	if entry == nil && text != "" {
		return text
	}
	return Side(entry)
}

func patchShapes(patches []Patch) []patchJSON {
	shapes := make([]patchJSON, 0, len(patches))
	for _, p := range patches {
		shape := patchJSON{p.Path, p.From, fateWords[p.Fate], p.Note, []hunkJSON{}}
		for _, h := range p.Hunks {
			hunk := hunkJSON{h.OldStart, h.OldLines, h.NewStart, h.NewLines, []lineJSON{}}
			for _, l := range h.Lines {
				hunk.Lines = append(hunk.Lines, lineJSON{string(rune(l.Op)), l.Text})
			}
			shape.Hunks = append(shape.Hunks, hunk)
		}
		shapes = append(shapes, shape)
	}
	return shapes
}
