package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
)

// RemoteExistsError reports a name that a remote has already.
type RemoteExistsError struct {
	Name, File string
}

func (e *RemoteExistsError) Error() string {
	return fmt.Sprintf("there is a remote %q in %s already", e.Name, e.File)
}

// AddRemote adds a remote to kept.toml, or with local, and where kept.toml can't
// name such a place, to the settings of this clone alone. Who adds a remote
// trusts it. A relative path counts from the folder dir.
func (p *Project) AddRemote(name, url, dir string, settings map[string]string, local bool) (*Remote, error) {
	table := map[string]any{"url": url}
	for key, value := range settings {
		table[key] = value
		if value == "true" || value == "false" {
			table[key] = value == "true"
		}
	}
	m, err := parseRemote(name, table)
	if err != nil {
		return nil, &RemoteConfigError{Name: name, Err: err}
	}
	if m.URL.Scheme == "file" {
		inside, err := p.placeRemote(m, dir, local)
		if err != nil {
			return nil, err
		}
		local = local || !inside
		table["url"] = m.Text
	}
	if local {
		return m, p.addOwnRemote(m, table)
	}
	file := p.join(pipeline.Name)
	m, refused := p.committedRemote(file, name, table)
	if refused != nil {
		refused.File = ""
		return nil, refused
	}
	if _, known := p.Experiment.Remotes[name]; known {
		return nil, &RemoteExistsError{Name: name, File: file}
	}
	if err := p.editExperiment(func(data []byte) ([]byte, error) {
		return addTable(data, []string{"remote", name}, table)
	}); err != nil {
		return nil, err
	}
	return m, p.Trust(m)
}

// Wants tells what a remote can do for this clone: bring what the lock names and the store
// lacks, or take what commits name that were pushed before there was a remote.
func (p *Project) Wants(ctx context.Context) (fetch, push bool, err error) {
	needs, err := p.needsOf(ctx, false)
	if err != nil {
		return false, false, err
	}
	lacking, err := p.lacking(ctx, needs)
	if err != nil || len(lacking) > 0 {
		return len(lacking) > 0, false, err
	}
	n, err := p.namer(ctx)
	if err == nil {
		needs, err = n.needs(ctx)
	}
	return false, slices.ContainsFunc(needs, func(n need) bool { return n.Commit.ID != "" }), err
}

// placeRemote makes the path of a folder one that is the same from everywhere, and
// reports whether it is one that kept.toml may name.
func (p *Project) placeRemote(m *Remote, dir string, local bool) (inside bool, err error) {
	abs := m.URL.Path
	if strings.HasPrefix(abs, "~") {
		return false, &RemoteConfigError{Name: m.Name, Err: fmt.Errorf("%q begins with ~, which only a shell takes for a home folder", abs)}
	}
	if !filepath.IsAbs(abs) {
		abs = filepath.Join(dir, abs)
	}
	if err := p.checkFolder(abs); err != nil {
		return false, &RemoteConfigError{Name: m.Name, Err: err}
	}
	m.URL = &remote.URL{Scheme: "file", Path: abs}
	rel, err := filepath.Rel(p.Dir(), abs)
	if err == nil {
		rel = filepath.ToSlash(rel)
		_, outside := committedFolder(p.Rel, rel)
		link := (&Remote{URL: m.URL, File: pipeline.Name, root: p.Git.Root}).checkPlace()
		if outside == nil && link == nil {
			m.Text = rel
			return true, nil
		}
		if outside != nil && !local && !errors.Is(outside, errOutsideRemote) {
			return false, &RemoteConfigError{Name: m.Name, Err: outside}
		}
	}
	m.Text = abs
	return false, nil
}

// checkFolder refuses folders that belong to Git, or to kept for other things.
func (p *Project) checkFolder(abs string) error {
	real := git.Physical(abs)
	if real == git.Physical(p.Git.Root) {
		return errors.New("the top of the repository can't be a remote: want a folder of its own")
	}
	for _, dir := range []string{p.Git.CommonDir, p.Git.GitDir, p.Local.Store()} {
		if rel, err := filepath.Rel(git.Physical(dir), real); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("%s is where Git or kept have their own files: want a folder of its own", dir)
		}
	}
	return nil
}

func (p *Project) addOwnRemote(m *Remote, table map[string]any) error {
	if m.URL.Scheme == "file" {
		table["url"], m.Text = m.URL.Path, m.URL.Path
	}
	set, err := p.Local.readSettings()
	if err != nil {
		return err
	}
	if _, known := set.Remote[m.Name]; known {
		return &RemoteExistsError{Name: m.Name, File: p.Local.Config()}
	}
	return p.editSettings(func(data []byte) ([]byte, error) {
		return addTable(data, []string{"remote", m.Name}, table)
	})
}

// RemoveRemote takes a remote out of the settings of this clone if they have it,
// else out of kept.toml, and says from which file. What is there stays there.
func (p *Project) RemoveRemote(name string) (file string, err error) {
	set, err := p.Local.readSettings()
	if err != nil {
		return "", err
	}
	key := []string{"remote", name}
	if _, own := set.Remote[name]; own {
		return p.Local.Config(), p.editSettings(func(data []byte) ([]byte, error) {
			data, _, err := removeTable(data, key)
			return data, err
		})
	}
	table, committed := p.Experiment.Remotes[name]
	if !committed {
		return "", p.noRemoteHere(name)
	}
	file = p.join(pipeline.Name)
	if m, err := p.committedRemote(file, name, table); err == nil {
		// Somebody may commit it again.
		if err := p.distrust(m); err != nil {
			return "", err
		}
	}
	return file, p.editExperiment(func(data []byte) ([]byte, error) {
		data, _, err := removeTable(data, key)
		return data, err
	})
}

// noRemoteHere says why there is no remote of that name to remove.
func (p *Project) noRemoteHere(name string) error {
	list, err := p.Remotes()
	if err != nil {
		return err
	}
	m, err := ChooseRemote(list, name)
	if err != nil {
		return err
	}
	return &RemoteConfigError{Name: name, Err: fmt.Errorf("it is in %s: remove it there", m.File)}
}

// editExperiment changes the text of kept.toml.
func (p *Project) editExperiment(edit func(data []byte) ([]byte, error)) error {
	file := p.join(pipeline.Name)
	data, err := p.readOwn(file, pipeline.MaxSize)
	if err != nil {
		return &FileError{Path: file, Err: reason(err)}
	}
	info, err := os.Stat(p.Workspace.Abs(file))
	if err != nil {
		return &FileError{Path: file, Err: reason(err)}
	}
	edited, err := edit(data)
	if err == nil {
		_, err = pipeline.Parse(edited)
	}
	if err != nil {
		return &FileError{Path: file, Err: err}
	}
	if err := writeAtomic(p.Workspace.Abs(file), p.Local.Temp(), edited, info.Mode().Perm()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	p.Experiment, err = pipeline.Parse(edited)
	return err
}

// SetHooksFetch lets the hooks of a checkout fetch what is missing, or not.
func (r *Repository) SetHooksFetch(on bool) error {
	set, err := r.Local.readSettings()
	if err != nil || set.Hooks.Fetch == on {
		return err
	}
	return r.editSettings(func(data []byte) ([]byte, error) {
		data, _, err := removeTable(data, []string{"hooks"})
		if err != nil || !on {
			return data, err
		}
		return addTable(data, []string{"hooks"}, map[string]any{"fetch": true})
	})
}

// HooksFetch reports whether the hooks of a checkout may fetch what is missing.
func (r *Repository) HooksFetch() bool {
	set, err := r.Local.readSettings()
	return err == nil && set.Hooks.Fetch
}
