package lockfile

import (
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
)

const comment = "# Written by kept. Commit it with the code that produced it.\n"

// New returns a lock without entries.
func New() *Lock {
	return &Lock{Stages: map[string]*Stage{}, Artifacts: map[string]*Artifact{}}
}

// Marshal returns the one canonical encoding of the lock and sets the Result of
// each stage to what it wrote. Equal locks have equal bytes, and what Parse
// read in canonical form comes out as it was.
//
// A lock that Check refuses gives text that Parse refuses, or a panic where
// there is no text at all for a value's type.
func (l *Lock) Marshal() []byte {
	b := []byte(comment)
	for _, unit := range l.units() {
		if !unit.scalar() {
			b = append(b, '\n')
		}
		b = append(b, unit.text...)
	}
	return b
}

// Digest returns the digest of the stage's block under the given name: of its
// canonical text with all its tables, without the line of the result.
func (s *Stage) Digest(name string) cas.Digest {
	return cas.Sum(appendTables(nil, []string{"stage", name}, s.table()))
}

// unit is the piece of a lock that is merged as a whole: a stage or an artifact
// with all its tables, or a top-level key.
type unit struct {
	path []string
	text string
}

// scalar tells a top-level key of one value, which stands above all tables, from a block.
func (u unit) scalar() bool { return u.text[0] != '[' }

// compareUnits orders top-level values before blocks, the version before
// everything, and blocks by their path, part by part.
func compareUnits(a, b unit) int {
	if a.scalar() != b.scalar() {
		if a.scalar() {
			return -1
		}
		return 1
	}
	if a.scalar() && (a.path[0] == "version") != (b.path[0] == "version") {
		if a.path[0] == "version" {
			return -1
		}
		return 1
	}
	return slices.Compare(a.path, b.path)
}

// units returns the lock in pieces of canonical text, in their canonical order,
// and sets the results of the stages.
func (l *Lock) units() []unit {
	units := []unit{{[]string{"version"}, string(appendMember(nil, "version", int64(Version)))}}
	for name, artifact := range l.Artifacts {
		path := []string{"artifact", name}
		units = append(units, unit{path, string(appendTables(nil, path, artifact.table()))})
	}
	for name, stage := range l.Stages {
		units = append(units, unit{[]string{"stage", name}, stage.block(name)})
	}
	for key, value := range l.Unknown {
		if knownTop(key) {
			continue
		}
		text := appendMember(nil, key, value)
		if table, ok := value.(map[string]any); ok {
			text = appendTables(nil, []string{key}, table)
		}
		units = append(units, unit{[]string{key}, string(text)})
	}
	slices.SortFunc(units, compareUnits)
	return units
}

func knownTop(key string) bool { return key == "version" || key == "artifact" || key == "stage" }

// block returns the text of the stage with its result, which it sets. The
// result follows the header: because it is in every block and differs between
// any two runs with different outcomes, these conflict in every line-based merge.
func (s *Stage) block(name string) string {
	path := []string{"stage", name}
	body := appendTables(nil, path, s.table())
	s.Result = cas.Sum(body)
	split := len(appendHeader(nil, path))
	b := make([]byte, 0, len(body)+100)
	b = append(b, body[:split]...)
	b = appendMember(b, "result", s.Result.String())
	return string(append(b, body[split:]...))
}

// appendTables writes a table and those below it, in order, one blank line
// between two. A table that holds nothing but tables has no header.
func appendTables(b []byte, path []string, table map[string]any) []byte {
	keys := sortedKeys(table)
	if hasHeader(table) {
		if len(b) > 0 {
			b = append(b, '\n')
		}
		b = appendHeader(b, path)
		for _, key := range keys {
			if _, nested := table[key].(map[string]any); !nested {
				b = appendMember(b, key, table[key])
			}
		}
	}
	for _, key := range keys {
		if nested, ok := table[key].(map[string]any); ok {
			b = appendTables(b, append(path, key), nested)
		}
	}
	return b
}

// sortedKeys is slices.Sorted(maps.Keys(m)) in one allocation, of which a large
// lock needs tens of thousands.
func sortedKeys[E any](m map[string]E) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func hasHeader(table map[string]any) bool {
	for _, value := range table {
		if _, nested := value.(map[string]any); !nested {
			return true
		}
	}
	return len(table) == 0
}

func appendHeader(b []byte, path []string) []byte {
	b = appendPath(append(b, '['), path)
	return append(b, "]\n"...)
}

// appendMember writes a key and its value. Arrays take a line per element, so
// that a diff shows the element that changed.
func appendMember(b []byte, key string, value any) []byte {
	b = append(appendKey(b, key), " = "...)
	elements, ok := value.([]any)
	if !ok || len(elements) == 0 {
		return append(appendInline(b, value), '\n')
	}
	b = append(b, "[\n"...)
	for _, element := range elements {
		b = append(b, "  "...)
		b = append(appendInline(b, element), ",\n"...)
	}
	return append(b, "]\n"...)
}

// table returns the block's keys without its result. Empty maps have no table.
func (s *Stage) table() map[string]any {
	t := withUnknown(s.Unknown)
	delete(t, "result")
	t["command"] = s.Command
	setTables(t, "artifact", s.Artifacts, (*Artifact).table)
	setTables(t, "code", s.Code, (*Input).table)
	setTables(t, "input", s.Inputs, (*Input).table)
	setValues(t, "history", s.History, digestValue)
	setValues(t, "logged", s.Logged, func(v Value) any { return v })
	setValues(t, "metrics", s.Metrics, func(v Value) any { return v })
	setValues(t, "params", s.Params, func(v Value) any { return v })
	if s.Environment != nil {
		if environment := s.Environment.table(); len(environment) > 0 {
			t["environment"] = environment
		}
	}
	return t
}

func (a *Artifact) table() map[string]any {
	t := withUnknown(a.Unknown)
	t["path"] = a.Path
	t["hash"] = a.Hash.String()
	t["size"] = a.Size
	if a.Folder {
		t["files"] = a.Files
	}
	if a.Executable {
		t["executable"] = true
	}
	return t
}

func (i *Input) table() map[string]any {
	t := withUnknown(i.Unknown)
	t["hash"] = i.Hash.String()
	if i.Sized {
		t["size"] = i.Size
	}
	if i.Folder {
		t["files"] = i.Files
	}
	return t
}

func (e *Environment) table() map[string]any {
	t := withUnknown(e.Unknown)
	if !e.Packages.IsZero() {
		t["packages"] = e.Packages.String()
	}
	if e.Platform != "" {
		t["platform"] = e.Platform
	}
	if e.Runtime != "" {
		t["runtime"] = e.Runtime
	}
	files := map[string]any{}
	for path, digest := range e.Files {
		file := withUnknown(e.UnknownOfFiles[path])
		file["hash"] = digest.String()
		files[path] = file
	}
	if len(files) > 0 {
		t["file"] = files
	}
	return t
}

func withUnknown(unknown map[string]any) map[string]any {
	t := make(map[string]any, len(unknown)+4)
	maps.Copy(t, unknown)
	return t
}

func setTables[E any](t map[string]any, key string, entries map[string]E, table func(E) map[string]any) {
	setValues(t, key, entries, func(e E) any { return table(e) })
}

func setValues[E any](t map[string]any, key string, entries map[string]E, value func(E) any) {
	delete(t, key)
	if len(entries) == 0 {
		return
	}
	values := make(map[string]any, len(entries))
	for name, entry := range entries {
		values[name] = value(entry)
	}
	t[key] = values
}

func digestValue(d cas.Digest) any { return d.String() }
