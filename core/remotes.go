package core

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// DefaultRemote is the name of the remote that is meant where none is named.
const DefaultRemote = "default"

// Remote is a store elsewhere, as a kept.toml or the settings of this clone name it.
type Remote struct {
	Name string
	// Text is the URL as it is written, URL where that leads.
	Text     string
	URL      *remote.URL
	Settings remote.Settings
	// File is the kept.toml that names it, as seen from the top of the worktree;
	// "" is the settings of this clone, which are the user's own word.
	File string
	// root is the worktree that the folder of a committed remote has to lie in.
	root string
}

// Committed reports whether a kept.toml names the remote, which somebody else may have written.
func (m *Remote) Committed() bool { return m.File != "" }

// Where is the URL of the remote with all of its settings, which say as much about where
// it leads and as whom. Each is quoted where it could be taken for several.
func (m *Remote) Where() string {
	words := append([]string{m.Text}, m.Pairs()...)
	for i, w := range words {
		if strings.ContainsFunc(w, func(c rune) bool { return c == '"' || unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
			words[i] = strconv.Quote(w)
		}
	}
	return strings.Join(words, " ")
}

// Pairs are the settings as key=value, in order.
func (m *Remote) Pairs() []string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(m.Settings)) {
		pairs = append(pairs, key+"="+m.Settings[key])
	}
	return pairs
}

// id tells the remote from every other by all that says where it is and how it
// is opened.
func (m *Remote) id() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", m.URL)
	for _, pair := range m.Pairs() {
		fmt.Fprintln(&text, pair)
	}
	return cas.Sum([]byte(text.String())).Hex()[:32]
}

// NoRemoteError reports that no remote can be chosen.
type NoRemoteError struct {
	// Name is the one that was asked for; "" is whichever there is.
	Name  string
	Known []string
	// Foreign says that it is another repository that has none.
	Foreign bool
	// Command is what takes the name of one of those that there are.
	Command string
}

func (e *NoRemoteError) Error() string {
	switch {
	case len(e.Known) == 0 && e.Name == "":
		return "no remote is configured"
	case len(e.Known) == 0:
		return fmt.Sprintf("there is no remote %q: none is configured", e.Name)
	case e.Name == "":
		return fmt.Sprintf("none of the remotes %s is called %s", strings.Join(e.Known, ", "), DefaultRemote)
	}
	return fmt.Sprintf("there is no remote %q; there is %s", e.Name, strings.Join(e.Known, ", "))
}

// RemoteConfigError reports a remote that can't be used as it is written.
type RemoteConfigError struct {
	Name string
	// File is where it is written, Line the line there or 0; both are empty for
	// one that is written nowhere yet.
	File string
	Line int
	// Local says that the settings of this clone may have it so, and kept.toml may not.
	Local bool
	// Kind says that it is the kind of the remote that can't be opened that way.
	Kind bool
	Err  error
}

func (e *RemoteConfigError) Error() string {
	text := fmt.Sprintf("remote %q: %v", e.Name, e.Err)
	if e.Line > 0 {
		text = fmt.Sprintf("line %d: %s", e.Line, text)
	}
	if e.File != "" {
		text = e.File + ": " + text
	}
	return text
}

// Unwrap returns e.Err.
func (e *RemoteConfigError) Unwrap() error { return e.Err }

// remoteTables are the tables [remote.NAME] of one kept.toml.
type remoteTables struct {
	file   string
	tables map[string]map[string]any
	line   func(key ...string) int
}

func tablesOf(file string, e *pipeline.Experiment) remoteTables {
	return remoteTables{file: file, tables: e.Remotes, line: e.Line}
}

// Remotes lists the remotes of the experiment by name: those of its kept.toml and
// of those in the folders above it, of which the nearest counts, and those of this
// clone, which count more than any.
func (p *Project) Remotes() ([]Remote, error) {
	tables := []remoteTables{tablesOf(p.join(pipeline.Name), p.Experiment)}
	if p.Rel != "" {
		above, err := p.tablesAt(parent(p.Rel))
		if err != nil {
			return nil, err
		}
		tables = append(tables, above...)
	}
	return p.remotesOf(tables)
}

// tablesAt reads the tables of the kept.toml in a folder of the worktree and of those above it.
func (r *Repository) tablesAt(dir string) ([]remoteTables, error) {
	return tablesAbove(dir, func(file string) ([]byte, error) { return r.readOwn(file, pipeline.MaxSize) })
}

// tablesAbove is tablesAt by a function that reads a file, wherever that may be.
func tablesAbove(dir string, read func(file string) ([]byte, error)) ([]remoteTables, error) {
	var all []remoteTables
	for at := dir; ; at = parent(at) {
		file := path.Join(at, pipeline.Name)
		data, err := read(file)
		if err == nil {
			var e *pipeline.Experiment
			if e, err = pipeline.Parse(data); err == nil {
				all = append(all, tablesOf(file, e))
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &FileError{Path: file, Err: reason(err)}
		}
		if at == "" {
			return all, nil
		}
	}
}

// remotesOf makes remotes of the tables of kept.toml files, the nearest first, and
// of the settings of this clone.
func (r *Repository) remotesOf(committed []remoteTables) ([]Remote, error) {
	set, err := r.Local.readSettings()
	if err != nil {
		return nil, err
	}
	found := map[string]Remote{}
	for name, table := range set.Remote {
		m, err := parseRemote(name, table)
		if err == nil && m.URL.Scheme == "file" && !filepath.IsAbs(m.URL.Path) {
			err = fmt.Errorf("%q is not an absolute path", m.Text)
		}
		if err != nil {
			return nil, &RemoteConfigError{Name: name, File: r.Local.Config(), Err: err}
		}
		found[name] = *m
	}
	for _, t := range committed {
		for name, table := range t.tables {
			if _, known := found[name]; known {
				continue
			}
			m, err := r.committedRemote(t.file, name, table)
			if err != nil {
				err.Line = t.line("remote", name)
				return nil, err
			}
			found[name] = *m
		}
	}
	list := make([]Remote, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[name])
	}
	return list, nil
}

// ChooseRemote returns the remote of that name; for "" the one called default, or
// the only one.
func ChooseRemote(list []Remote, name string) (*Remote, error) {
	missing := &NoRemoteError{Name: name}
	for i, m := range list {
		missing.Known = append(missing.Known, m.Name)
		if m.Name == name || name == "" && (len(list) == 1 || m.Name == DefaultRemote) {
			return &list[i], nil
		}
	}
	return nil, missing
}

// parseRemote reads a table of a remote, and refuses what may stand in none.
func parseRemote(name string, table map[string]any) (*Remote, error) {
	if !lockfile.ValidName(name) || name[0] == '-' {
		return nil, errors.New("a name is 1 to 64 of A-Z a-z 0-9 _ . - and does not begin with -")
	}
	text, ok := table["url"].(string)
	if !ok {
		return nil, fmt.Errorf("it has no url such as %q", "s3://bucket/folder")
	}
	u, err := remote.ParseURL(text)
	if err != nil {
		// What it is wrapped in shows the text, which may have a password in it.
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, fmt.Errorf("its url can't be used: %w", err)
	}
	m := &Remote{Name: name, Text: text, URL: u, Settings: remote.Settings{}}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if key == "url" {
			continue
		}
		value, err := settingText(table[key])
		if err == nil {
			err = checkSetting(key, value)
		}
		if err != nil {
			return nil, err
		}
		m.Settings[key] = value
	}
	if len(m.Settings) > maxRemoteSettings {
		return nil, fmt.Errorf("more than %d settings", maxRemoteSettings)
	}
	return m, nil
}

// committedRemote is parseRemote for a table of a kept.toml, where less is allowed:
// whoever clones a repository did not choose what it names.
func (r *Repository) committedRemote(file, name string, table map[string]any) (*Remote, *RemoteConfigError) {
	refuse := func(local bool, err error) (*Remote, *RemoteConfigError) {
		return nil, &RemoteConfigError{Name: name, File: file, Local: local, Err: err}
	}
	m, err := parseRemote(name, table)
	if err != nil {
		return refuse(false, err)
	}
	m.File, m.root = file, r.Git.Root
	if m.URL.Scheme == "file" {
		inside, err := committedFolder(parent(file), m.Text)
		if err != nil {
			return refuse(true, err)
		}
		m.URL.Path = r.Workspace.Abs(inside)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Settings)) {
		if err := checkCommitted(key, m.Settings[key]); err != nil {
			return refuse(true, err)
		}
	}
	return m, nil
}

var errOutsideRemote = errors.New("a folder that is not in the repository is for the settings of one clone, not for kept.toml")

// committedFolder returns the folder, as seen from the top, that a kept.toml in
// folder dir may name as a remote.
func committedFolder(dir, text string) (string, error) {
	if strings.Contains(text, "://") || path.IsAbs(text) || filepath.IsAbs(text) || strings.HasPrefix(text, "~") {
		return "", errOutsideRemote
	}
	inside := path.Join(dir, text)
	if inside == ".." || strings.HasPrefix(inside, "../") {
		return "", errOutsideRemote
	}
	return inside, cas.CheckPath(inside)
}

// checkPlace makes sure that no link leads the folder of a committed remote out of the worktree.
func (m *Remote) checkPlace() error {
	if !m.Committed() || m.URL.Scheme != "file" {
		return nil
	}
	rel, err := filepath.Rel(git.Physical(m.root), git.Physical(m.URL.Path))
	if err != nil || !filepath.IsLocal(rel) {
		return &RemoteConfigError{Name: m.Name, File: m.File, Local: true, Err: errOutsideRemote}
	}
	return nil
}
