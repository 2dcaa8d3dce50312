package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/lazy"
	"github.com/kept-dev/kept/lockfile"
)

// lineWidth is the number of characters from which a value is broken into lines.
const lineWidth = 76

// Suggest returns the text of a stage for kept.toml, ending in a line break.
// Parse gives the same stage back, apart from its line.
func Suggest(stage Stage) string {
	var keys, texts []string
	add := func(key, text string) {
		keys = append(keys, key)
		texts = append(texts, text)
	}
	addList := func(key string, elements []string) {
		if len(elements) > 0 {
			add(key, formatList(elements))
		}
	}
	add("command", lockfile.FormatValue(stage.Command))
	addList("code", stage.Code)
	addList("inputs", stage.Inputs)
	addList("params", sourceTexts(stage.Params))
	addList("metrics", sourceTexts(stage.Metrics))
	artifacts := formatArtifacts(stage.Artifacts)
	inline := "{ " + strings.Join(artifacts, ", ") + " }"
	isInline := utf8.RuneCountInString(inline) <= lineWidth
	if len(artifacts) > 0 && isInline {
		add("artifacts", inline)
	}
	if stage.Environment != "" {
		add("environment", lockfile.FormatValue(stage.Environment))
	}

	header := quoteKey("stage", stage.Name)
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", header)
	width := len(slices.MaxFunc(keys, func(a, b string) int { return len(a) - len(b) }))
	for i := range keys {
		fmt.Fprintf(&b, "%-*s = %s\n", width, keys[i], texts[i])
	}
	if len(artifacts) > 0 && !isInline {
		fmt.Fprintf(&b, "\n[%s.artifacts]\n%s\n", header, strings.Join(artifacts, "\n"))
	}
	return b.String()
}

func sourceTexts(sources []Source) []string {
	texts := make([]string, len(sources))
	for i, source := range sources {
		texts[i] = source.String()
	}
	return texts
}

// formatList writes a list on one line, or with one element on each where that is too long.
func formatList(elements []string) string {
	texts := make([]string, len(elements))
	for i, element := range elements {
		texts[i] = lockfile.FormatValue(element)
	}
	if line := "[" + strings.Join(texts, ", ") + "]"; utf8.RuneCountInString(line) <= lineWidth {
		return line
	}
	return "[\n  " + strings.Join(texts, ",\n  ") + ",\n]"
}

// formatArtifacts writes one "name = path" for each artifact, sorted by name.
func formatArtifacts(artifacts map[string]string) []string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(artifacts)) {
		pairs = append(pairs, quoteKey(name)+" = "+lockfile.FormatValue(artifacts[name]))
	}
	return pairs
}

var bareKey = lazy.Regexp(`^[A-Za-z0-9_-]+$`)

// quoteKey returns a dotted key as TOML writes it.
func quoteKey(parts ...string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		if texts[i] = part; !bareKey().MatchString(part) {
			texts[i] = lockfile.FormatValue(part)
		}
	}
	return strings.Join(texts, ".")
}
