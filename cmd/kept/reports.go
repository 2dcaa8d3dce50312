package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/plot"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/report"
)

// reportWriter writes reviews in one format.
type reportWriter = func(io.Writer, []*report.Review, report.Options) error

// reportWriters are the formats of --report.
func reportWriters() map[string]reportWriter {
	return map[string]reportWriter{
		"github": report.Annotations,

		"html":        report.HTML,
		"json":        report.JSON,
		"junit":       report.JUnit,
		"markdown":    report.Markdown,
		"openmetrics": report.OpenMetrics,
	}
}

// reportSynonyms are other words for formats.
var reportSynonyms = map[string]string{"md": "markdown"}

func reportFormats() []string { return slices.Sorted(maps.Keys(reportWriters())) }

// output is a report to write.
type output struct {
	format string
	write  reportWriter
	// path is "-" for standard output.
	path string
}

type outputs []output

const stdoutPath = "-"

func (o outputs) stdout() bool {
	return slices.ContainsFunc(o, func(o output) bool { return o.path == stdoutPath })
}

// parseReports reads the values of --report.
func parseReports(specs []string) (outputs, error) {
	var all outputs
	for _, spec := range specs {
		format, path, _ := strings.Cut(spec, "=")
		if path == "" {
			return nil, fmt.Errorf("--report %q is not FORMAT=FILE, such as markdown=gate.md", spec)
		}
		name := format
		if synonym := reportSynonyms[name]; synonym != "" {
			name = synonym
		}
		write := reportWriters()[name]
		if write == nil {
			known := reportFormats()
			if near := values.Nearest(format, known); len(near) > 0 {
				return nil, fmt.Errorf("there is no report format %q; did you mean %q?", format, near[0])
			}
			return nil, fmt.Errorf("there is no report format %q; there are %s", format, strings.Join(known, ", "))
		}
		if path != stdoutPath {
			path = filepath.Clean(path)
		}
		if slices.ContainsFunc(all, func(o output) bool { return o.path == path }) {
			return nil, fmt.Errorf("two reports go to %q", path)
		}
		all = append(all, output{name, write, path})
	}
	return all, nil
}

// writeReports writes all reports or, where one of them fails, none of the files.
func (u *ui) writeReports(ctx context.Context, all outputs, gates []gated) error {
	if len(all) == 0 {
		return nil
	}
	reviews, options, err := gateReviews(gates)
	if err == nil && slices.ContainsFunc(all, func(o output) bool { return o.format == "html" }) {
		options.Draw = drawCurves
		err = addCurves(ctx, reviews, gates)
	}
	if err != nil {
		return err
	}
	texts := make([]bytes.Buffer, len(all))
	for i, o := range all {
		if err := o.write(&texts[i], reviews, options); err != nil {
			return fmt.Errorf("write the report %q: %w", o.path, err)
		}
	}
	var files []*reportFile
	for i, o := range all {
		if o.path == stdoutPath {
			continue
		}
		f, err := prepareReport(o.path, texts[i].Bytes())
		if err != nil {
			return errors.Join(append([]error{fmt.Errorf("write the report %q: %w", o.path, err)}, discard(files)...)...)
		}
		files = append(files, f)
	}
	for i, f := range files {
		if err := f.publish(); err != nil {
			return errors.Join(append([]error{fmt.Errorf("write the report %q: %w", f.target, err)}, discard(files[i+1:])...)...)
		}
	}
	for i, o := range all {
		if o.path == stdoutPath {
			if _, err := u.out.Write(texts[i].Bytes()); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
		}
	}
	return nil
}

// gateReviews puts the gates into what the writers of reports read.
func gateReviews(gates []gated) ([]*report.Review, report.Options, error) {
	var reviews []*report.Review
	lines := map[string]func(stage, key string) int{}
	for _, g := range gates {
		r := report.New(g.project.Rel, g.Comparison, g.Rules)
		r.Verdict, r.BaseNote = &g.Verdict, g.Base.Note
		if g.NoBase != nil {
			r.BaseNote = g.NoBase.Error()
		}
		reviews = append(reviews, r)
		var err error
		if lines[r.Experiment], err = g.project.MetricLines(); err != nil {
			return nil, report.Options{}, err
		}
	}
	line := func(experiment, stage, key string) int {
		if find := lines[experiment]; find != nil {
			return find(stage, key)
		}
		return 0
	}
	return reviews, report.Options{Version: version, Line: line}, nil
}

// addCurves gives the reviews the metrics by step, as far as this clone has them.
func addCurves(ctx context.Context, reviews []*report.Review, gates []gated) error {
	for i, g := range gates {
		curves, err := g.project.Curves(ctx, g.Comparison.Old.Lock, g.Comparison.New.Lock)
		if err != nil {
			return err
		}
		for _, c := range curves {
			if len(c.Old)+len(c.New) > 0 {
				reviews[i].Curves = append(reviews[i].Curves, report.Curve{Stage: c.Stage, Key: c.Key, Old: c.Old, New: c.New})
			}
		}
	}
	return nil
}

func drawCurves(curves []report.Curve) ([]byte, error) {
	list := make([]plot.Metric, len(curves))
	for i, c := range curves {
		list[i] = plot.Metric{Name: metrics.Name(c.Stage, c.Key), Old: c.Old, New: c.New}
	}
	return plot.Curves("", "base", "head", list).SVG()
}

// reportFile is a report beside its place, to be renamed into it.
type reportFile struct {
	target, temporary string
	// data is for a target that is no file, such as a pipe: nothing can take its place.
	data []byte
}

func prepareReport(path string, data []byte) (*reportFile, error) {
	// A pipe or a device is written to. A link to a file is replaced and not
	// followed: it may have come with the repository.
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a folder")
	case err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return &reportFile{target: path, data: data}, nil
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".kept-*.tmp")
	if err != nil {
		return nil, err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	return &reportFile{target: path, temporary: file.Name()}, nil
}

func (f *reportFile) publish() error {
	if f.temporary != "" {
		if err := os.Rename(f.temporary, f.target); err != nil {
			return errors.Join(err, os.Remove(f.temporary))
		}
		return nil
	}
	file, err := os.OpenFile(f.target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(f.data)
	return errors.Join(err, file.Close())
}

// discard removes what was prepared.
func discard(files []*reportFile) []error {
	var failed []error
	for _, f := range files {
		if f.temporary != "" {
			failed = append(failed, os.Remove(f.temporary))
		}
	}
	return failed
}
