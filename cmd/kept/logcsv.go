package main

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

// logCSV prints a line per value, for a spreadsheet.
func (u *ui) logCSV(l *metricLog) error {
	w := csv.NewWriter(u.out)
	w.UseCRLF = true // RFC 4180
	rows := [][]string{{"commit", "date", "author", "subject", "metric", "value", "change", "verdict", "params"}}
	for _, row := range l.rows {
		v := row.version
		head := []string{v.Commit.ID, "", cell(v.Commit.Author), cell(v.Commit.Subject)}
		if !v.Uncommitted() {
			head[1] = v.Commit.Time.UTC().Format(time.RFC3339)
		}
		var params []string
		for _, c := range row.params {
			params = append(params, c.Name+"="+csvValue(c.New))
		}
		for _, c := range row.metrics {
			change, verdict := "", ""
			if d, ok := metrics.Compare(c.old, c.new, l.rules.Direction(c.String())); ok {
				change, verdict = strconv.FormatFloat(d.Absolute, 'g', -1, 64), report.DeltaWord(d)
			}
			rows = append(rows, slices.Concat(head, []string{cell(c.String()), csvValue(c.new), change, verdict, cell(strings.Join(params, " "))}))
		}
	}
	return w.WriteAll(rows)
}

func csvValue(v lockfile.Value) string {
	if v == nil {
		return ""
	}
	return lockfile.FormatValue(v)
}

// cell makes text of a repository harmless on a terminal, in the log of a CI job,
// and in a spreadsheet, which takes what begins with one of these for a formula.
func cell(text string) string {
	text = report.PlainLog(clean(text))
	if text != "" && strings.IndexByte("=+-@", text[0]) >= 0 {
		return "'" + text
	}
	return text
}
