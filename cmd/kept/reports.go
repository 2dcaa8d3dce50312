package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/report"
)

// reportWriter writes reviews in one format.
type reportWriter = func(io.Writer, []*report.Review, report.Options) error

// reportWriters are the formats of --report.
func reportWriters() map[string]reportWriter {
	return map[string]reportWriter{
		"github": report.Annotations,

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
	write reportWriter
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
		all = append(all, output{write, path})
	}
	return all, nil
}

// writeReports writes all reports or, where one of them fails, none of the files.
func (u *ui) writeReports(all outputs, gates []gated) error {
	if len(all) == 0 {
		return nil
	}
	reviews, options, err := gateReviews(gates)
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

// reportFile is a report beside its place, to be renamed into it.
type reportFile struct {
	target, temporary string
	// data is for a target that is no file, such as a pipe: nothing can take its place.
	data []byte
}

func prepareReport(path string, data []byte) (*reportFile, error) {
	// A link stays one; what it leads to is replaced.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a folder")
	case err == nil && !info.Mode().IsRegular():
		return &reportFile{target: path, data: data}, nil
	}
	f := &reportFile{target: path, temporary: fmt.Sprintf("%s.%d.tmp", path, os.Getpid())}
	file, err := os.OpenFile(f.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.temporary))
	}
	return f, nil
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
