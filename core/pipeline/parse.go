package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/internal/tomlscan"
)

// Parse reads a kept.toml. Errors are *values.FileError with the name
// "kept.toml", the line and what to write instead. An experiment without
// stages is valid: data can be kept without any.
func Parse(data []byte) (*Experiment, error) {
	tree, entries, err := decode(data)
	if err != nil {
		return nil, err
	}
	p := &parser{
		experiment: &Experiment{byName: map[string]*Stage{}, entries: entries},
		entries:    entries,
		ofStage:    map[string][]tomlscan.Entry{},
	}
	for _, entry := range entries {
		if len(entry.Key) > 1 && entry.Key[0] == "stage" {
			p.ofStage[entry.Key[1]] = append(p.ofStage[entry.Key[1]], entry)
		}
	}
	if err := p.top(tree); err != nil {
		return nil, err
	}
	if err := p.experiment.link(); err != nil {
		return nil, err
	}
	return p.experiment, nil
}

// decode returns the document as a tree and as a list of its places.
func decode(data []byte) (map[string]any, []tomlscan.Entry, error) {
	if len(data) > MaxSize {
		return nil, nil, fail(0, "%d bytes are more than the limit of %d", len(data), MaxSize)
	}
	var limit *tomlscan.LimitError
	if err := tomlscan.Guard(data); errors.As(err, &limit) {
		return nil, nil, fail(limit.Line, "%s", limit.Reason)
	}
	var tree map[string]any
	if _, err := toml.Decode(string(data), &tree); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, nil, fail(syntax.Position.Line, "not valid TOML: %s", syntax.Message)
		}
		return nil, nil, fail(0, "not valid TOML: %w", err)
	}
	entries, err := tomlscan.Scan(data)
	if err != nil {
		return nil, nil, fail(0, "not valid TOML: %w", err)
	}
	return tree, entries, nil
}

func fail(line int, text string, args ...any) error {
	return &values.FileError{Name: Name, Line: line, Err: fmt.Errorf(text, args...)}
}

type parser struct {
	experiment *Experiment
	entries    []tomlscan.Entry
	// ofStage holds the entries of each stage, so that reading all stages is one
	// pass over the file and not one for each.
	ofStage map[string][]tomlscan.Entry
	paths   int
}

// fail is an error at the line of a key.
func (p *parser) fail(key []string, text string, args ...any) error {
	return fail(lineOf(p.entries, key), text, args...)
}

// top reads the document's tables, in the order of the file.
func (p *parser) top(tree map[string]any) error {
	for _, name := range p.names() {
		var err error
		switch name {
		case "stage":
			err = p.stages(tree[name])
		case "gate":
			p.experiment.Gates, err = p.tables(name, tree[name])
		case "accept":
			p.experiment.Acceptances, err = p.tables(name, tree[name])
		case "remote":
			p.experiment.Remotes, err = p.tables(name, tree[name])
		default:
			err = p.unknown([]string{name}, []string{"stage", "gate", "accept", "remote"})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names lists the keys of the table at path in the order in which the file
// first mentions them.
func (p *parser) names(parent ...string) []string {
	var names []string
	seen := map[string]bool{}
	entries := p.entries
	if len(parent) > 1 && parent[0] == "stage" {
		entries = p.ofStage[parent[1]]
	}
	for _, entry := range entries {
		if len(entry.Key) > len(parent) && slices.Equal(entry.Key[:len(parent)], parent) {
			if name := entry.Key[len(parent)]; !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// synonyms are the words of other tools, and the singulars of ours.
var synonyms = map[string]string{
	"cmd": "command", "run": "command", "deps": "inputs", "dependencies": "inputs", "outs": "artifacts",
	"outputs": "artifacts", "parameters": "params", "env": "environment", "stages": "stage",
}

func (p *parser) unknown(key, known []string) error {
	name := key[len(key)-1]
	if synonym := synonyms[name]; slices.Contains(known, synonym) {
		return p.fail(key, "unknown key %q; did you mean %q?", name, synonym)
	}
	if near := values.Nearest(name, known); len(near) > 0 {
		return p.fail(key, "unknown key %q; did you mean %q?", name, near[0])
	}
	return p.fail(key, "unknown key %q; known are %s", name, strings.Join(known, ", "))
}

// tables reads tables that somebody else knows.
func (p *parser) tables(kind string, tree any) (map[string]map[string]any, error) {
	all, ok := tree.(map[string]any)
	if !ok {
		return nil, p.fail([]string{kind}, "%s is not a table: write [%s.NAME]", kind, kind)
	}
	tables := make(map[string]map[string]any, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if tables[name], ok = all[name].(map[string]any); !ok {
			return nil, p.fail([]string{kind, name}, "%s %q is not a table: write [%s]", kind, name, quoteKey(kind, name))
		}
	}
	return tables, nil
}

func (p *parser) stages(tree any) error {
	all, ok := tree.(map[string]any)
	if !ok {
		return p.fail([]string{"stage"}, "stage is not a table: write [stage.NAME]")
	}
	names := p.names("stage")
	if len(names) > MaxStages {
		return p.fail([]string{"stage", names[MaxStages]}, "more than %d stages", MaxStages)
	}
	for _, name := range names {
		key := []string{"stage", name}
		table, ok := all[name].(map[string]any)
		if !ok {
			return p.fail(key, "stage %q is not a table: write [%s]", name, quoteKey("stage", name))
		}
		if reason := badName(name); reason != "" {
			return p.fail(key, "stage %q: %s", name, reason)
		}
		stage := &Stage{Name: name, Line: lineOf(p.ofStage[name], key)}
		if err := p.stage(stage, table, key); err != nil {
			return err
		}
		p.experiment.Stages = append(p.experiment.Stages, stage)
		p.experiment.byName[name] = stage
	}
	return nil
}

const (
	nameChars  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	nameLength = 64
)

// badName says why a stage or an artifact cannot be called name: names are used
// on command lines, in Git refs and in file names.
func badName(name string) string {
	switch {
	case name == "", len(name) > nameLength, strings.Trim(name, nameChars) != "":
		return "a name is 1 to 64 of A-Z a-z 0-9 _ . -"
	case name == "." || name == "..":
		return "a name is more than dots"
	case name[0] == '-':
		return "a name that begins with - looks like an option"
	}
	return ""
}

var stageKeys = []string{"command", "code", "inputs", "params", "metrics", "artifacts", "environment"}

func (p *parser) stage(stage *Stage, tree map[string]any, key []string) error {
	for _, name := range p.names(key...) {
		at := extend(key, name)
		var err error
		switch value := tree[name]; name {
		case "command":
			stage.Command, err = p.command(at, value)
		case "code":
			stage.Code, err = p.list(at, value, checkRead)
		case "inputs":
			stage.Inputs, err = p.list(at, value, checkRead)
		case "params":
			stage.Params, err = p.sources(at, value, checkReadFile)
		case "metrics":
			stage.Metrics, err = p.sources(at, value, CheckWrite)
		case "artifacts":
			stage.Artifacts, err = p.artifacts(at, value)
		case "environment":
			if stage.Environment, _ = value.(string); stage.Environment != Strict {
				err = p.fail(at, "environment is %q or left out", Strict)
			}
		default:
			err = p.unknown(at, stageKeys)
		}
		if err != nil {
			return err
		}
	}
	if stage.Command == "" {
		return p.fail(key, "stage %q has no command", stage.Name)
	}
	return nil
}

// extend returns a path of its own, so that no two share memory.
func extend(key []string, parts ...string) []string { return slices.Concat(key, parts) }

func (p *parser) command(key []string, value any) (string, error) {
	command, ok := value.(string)
	if !ok || strings.TrimSpace(command) == "" {
		return "", p.fail(key, "command is not a text such as %q", "python train.py")
	}
	for _, r := range command {
		// They would not reach the shell, or would reach the terminal of whoever lists commands.
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return "", p.fail(key, "command contains the control character %q", r)
		}
	}
	return command, nil
}

// list reads a list of different paths that check accepts.
func (p *parser) list(key []string, value any, check func(string) error) ([]string, error) {
	elements, ok := value.([]any)
	if !ok {
		return nil, p.fail(key, "%s is not a list of paths such as [%q]", key[len(key)-1], "path")
	}
	var paths []string
	for i, element := range elements {
		at := extend(key, strconv.Itoa(i))
		text, ok := element.(string)
		if !ok {
			return nil, p.fail(at, "%s is not a list of paths such as [%q]", key[len(key)-1], "path")
		}
		if err := check(text); err != nil {
			return nil, p.fail(at, "%w", err)
		}
		if slices.Contains(paths, text) {
			return nil, p.fail(at, "%q is listed twice", text)
		}
		if err := p.count(at); err != nil {
			return nil, err
		}
		paths = append(paths, text)
	}
	return paths, nil
}

func (p *parser) count(key []string) error {
	if p.paths++; p.paths > MaxPaths {
		return p.fail(key, "more than %d paths; name their folder instead", MaxPaths)
	}
	return nil
}

// sources reads a list of files of values whose paths check accepts.
func (p *parser) sources(key []string, value any, check func(string) error) ([]Source, error) {
	texts, err := p.list(key, value, func(text string) error {
		source, err := parseSource(text)
		if err != nil {
			return err
		}
		if err := check(source.File); err != nil {
			return err
		}
		return values.CheckName(source.File)
	})
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, text := range texts {
		source, _ := parseSource(text)
		sources = append(sources, source)
	}
	return sources, nil
}

// parseSource splits "file:part". No path that is allowed contains a colon.
func parseSource(text string) (Source, error) {
	file, part, hasPart := strings.Cut(text, ":")
	if hasPart && part == "" {
		return Source{}, fmt.Errorf("%q names no part behind its colon", text)
	}
	return Source{File: file, Part: part}, nil
}

func (p *parser) artifacts(key []string, value any) (map[string]string, error) {
	switch value := value.(type) {
	case map[string]any:
		return p.namedArtifacts(key, value)
	case []any:
		paths, err := p.list(key, value, CheckWrite)
		if err != nil {
			return nil, err
		}
		return p.unnamedArtifacts(key, paths)
	}
	return nil, p.fail(key, `artifacts are names and paths such as { model = "models/model.pkl" }, or a list of paths`)
}

func (p *parser) namedArtifacts(key []string, tree map[string]any) (map[string]string, error) {
	artifacts := map[string]string{}
	for _, name := range p.names(key...) {
		at := extend(key, name)
		if reason := badName(name); reason != "" {
			return nil, p.fail(at, "artifact %q: %s", name, reason)
		}
		text, ok := tree[name].(string)
		if !ok {
			return nil, p.fail(at, "artifact %q is not a path", name)
		}
		if err := CheckWrite(text); err != nil {
			return nil, p.fail(at, "%w", err)
		}
		if err := p.count(at); err != nil {
			return nil, err
		}
		artifacts[name] = text
	}
	return artifacts, nil
}

// unnamedArtifacts names artifacts after their files, without the extension.
func (p *parser) unnamedArtifacts(key, paths []string) (map[string]string, error) {
	artifacts := map[string]string{}
	for i, file := range paths {
		at := extend(key, strconv.Itoa(i))
		name := stem(file)
		if reason := badName(name); reason != "" {
			return nil, p.fail(at, "artifact %q needs a name of its own, as in { NAME = %q }: %s", file, file, reason)
		}
		if other, ok := artifacts[name]; ok {
			return nil, p.fail(at, "artifacts %q and %q would both be called %q; name them, as in { NAME = %q }", other, file, name, file)
		}
		artifacts[name] = file
	}
	return artifacts, nil
}

// stem returns the file name without its last extension.
func stem(file string) string {
	base := path.Base(file)
	if name := strings.TrimSuffix(base, path.Ext(base)); name != "" {
		return name
	}
	return base
}
