package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/plot"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/report"
)

// reportWriter writes reviews in one format.
type reportWriter = func(io.Writer, []*report.Review, report.Options) error

// reportWriters are the formats of --report.
func reportWriters() map[string]reportWriter {
	return map[string]reportWriter{
		"github":      report.Annotations,
		"html":        report.HTML,
		"json":        report.JSON,
		"junit":       report.JUnit,
		"markdown":    report.Markdown,
		"openmetrics": report.OpenMetrics,
	}
}

// reportSynonyms are other words for formats.
var reportSynonyms = map[string]string{"md": "markdown"}

// gateFormats are those of a verdict.
func gateFormats() []string { return slices.Sorted(maps.Keys(reportWriters())) }

// documents are the formats of anything.
var documents = []string{"html", "json", "markdown"}

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

// reportFlag adds --report with the formats that a command has.
func reportFlag(cmd *cobra.Command, specs *[]string, formats []string) {
	cmd.Flags().StringArrayVar(specs, "report", nil, "write `FORMAT=FILE`: "+strings.Join(formats, ", ")+"; - is standard output")
	completeFlags(cmd, completeReports(formats), "report")
}

// parseReports reads the values of --report.
func parseReports(specs, formats []string) (outputs, error) {
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
		if !slices.Contains(formats, name) {
			if near := values.Nearest(format, formats); len(near) > 0 {
				return nil, fmt.Errorf("there is no report format %q; did you mean %q?", format, near[0])
			}
			return nil, fmt.Errorf("there is no report format %q; there are %s", format, strings.Join(formats, ", "))
		}
		if os.IsPathSeparator(path[len(path)-1]) {
			return nil, fmt.Errorf("--report %q names a folder and no file", spec)
		}
		if path != stdoutPath {
			path = filepath.Clean(path)
		}
		if slices.ContainsFunc(all, func(o output) bool { return samePath(o.path, path) }) {
			return nil, fmt.Errorf("two reports go to %q", path)
		}
		all = append(all, output{name, reportWriters()[name], path})
	}
	return all, nil
}

// samePath reports whether two paths of reports name the same place.
func samePath(a, b string) bool {
	if a == stdoutPath || b == stdoutPath {
		return a == b
	}
	fullA, errA := filepath.Abs(a)
	fullB, errB := filepath.Abs(b)
	return a == b || errA == nil && errB == nil && fullA == fullB
}

// compared is an experiment with what changed in it, for reports.
type compared struct {
	project    *core.Project
	comparison *core.Comparison
	review     *report.Review
}

// writeReports writes all reports or, where one of them fails, none of the files.
func (u *ui) writeReports(ctx context.Context, all outputs, experiments []compared, options report.Options) error {
	if len(all) == 0 {
		return nil
	}
	if slices.ContainsFunc(all, func(o output) bool { return o.format == "html" || o.format == "markdown" }) {
		options.Draw = drawCurves
		if err := addCurves(ctx, experiments); err != nil {
			return err
		}
	}
	texts := make([]bytes.Buffer, len(all))
	for i, o := range all {
		if err := o.write(&texts[i], reviews(experiments), options); err != nil {
			return fmt.Errorf("write the report %q: %w", o.path, err)
		}
	}
	return u.publishReports(ctx, all, texts)
}

// publishReports puts the files in place last: what a pipe, a device or standard
// output takes can fail halfway, a rename hardly.
func (u *ui) publishReports(ctx context.Context, all outputs, texts []bytes.Buffer) error {
	var files []*newFile
	failed := func(path string, err error, rest []*newFile) error {
		return errors.Join(append([]error{fmt.Errorf("write the report %q: %w", path, err)}, discard(rest)...)...)
	}
	for i, o := range all {
		if o.path == stdoutPath {
			continue
		}
		f, err := prepareFile(o.path, texts[i].Bytes())
		if err != nil {
			return failed(o.path, err, files)
		}
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b *newFile) int {
		return cmp.Compare(min(1, len(a.temporary)), min(1, len(b.temporary)))
	})
	renames := slices.IndexFunc(files, func(f *newFile) bool { return f.temporary != "" })
	if renames < 0 {
		renames = len(files)
	}
	for i, f := range files[:renames] {
		if err := f.publish(ctx); err != nil {
			return failed(f.target, err, files[i+1:])
		}
	}
	for i, o := range all {
		if o.path == stdoutPath {
			if _, err := u.out.Write(texts[i].Bytes()); err != nil {
				return failed(o.path, err, files[renames:])
			}
		}
	}
	for i, f := range files[renames:] {
		if err := f.publish(ctx); err != nil {
			return failed(f.target, err, files[renames+i+1:])
		}
	}
	return nil
}

func reviews(experiments []compared) []*report.Review {
	var all []*report.Review
	for _, e := range experiments {
		all = append(all, e.review)
	}
	return all
}

// addCurves gives the reviews the metrics by step, as far as this clone has them.
func addCurves(ctx context.Context, experiments []compared) error {
	for _, e := range experiments {
		curves, err := e.project.Curves(ctx, e.comparison.Old.Lock, e.comparison.New.Lock)
		if err != nil {
			return err
		}
		for _, c := range curves {
			if len(c.Old)+len(c.New) > 0 {
				e.review.Curves = append(e.review.Curves, report.Curve{Stage: c.Stage, Key: c.Key, Old: c.Old, New: c.New})
			}
		}
	}
	return nil
}

func drawCurves(curves []report.Curve) ([]byte, error) {
	list := make([]plot.Metric, len(curves))
	for i, c := range curves {
		list[i] = plot.Metric{Old: c.Old, New: c.New} // the page has a heading with the name
	}
	return plot.Curves("", "base", "head", list).SVG()
}
