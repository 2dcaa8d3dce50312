package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/core"
)

var errOnePath = errors.New("a saved content goes to exactly one path")

// experimentPaths turns paths of the command line, which count from the current
// folder, into paths of the experiment. A word that names nothing on disk may
// be an artifact's name and stays as it is.
func experimentPaths(p *core.Project, names []string) ([]string, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	below, err := p.Repository.Rel(here)
	if err != nil {
		return nil, err
	}
	below = strings.TrimPrefix(strings.TrimPrefix(below, p.Rel), "/")
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i], err = experimentPath(p, below, name)
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func experimentPath(p *core.Project, below, name string) (string, error) {
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(p.Dir(), name)
		if err != nil || !filepath.IsLocal(rel) {
			return "", fmt.Errorf("%q is outside the folder of kept.toml", name)
		}
		return filepath.ToSlash(rel), nil
	}
	slashed := path.Clean(filepath.ToSlash(name))
	if below == "" {
		return slashed, nil
	}
	_, err := os.Lstat(name)
	if err != nil && !strings.Contains(slashed, "/") && path.Ext(slashed) == "" {
		return slashed, nil
	}
	return path.Join(below, slashed), nil
}

// worktreePath turns a path of the command line into one of the worktree.
func worktreePath(r *core.Repository, name string) (string, error) {
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(r.Git.Root, name)
		return filepath.ToSlash(rel), err
	}
	below, err := r.Rel(".")
	return path.Join(below, filepath.ToSlash(name)), err
}

// display returns a path of the worktree as it is typed in the current folder.
func display(r *core.Repository, file string) string {
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	below, err := r.Rel(here)
	if err != nil {
		return file
	}
	return displayFrom(below, file)
}

// display is the function display for the folder in which the user stands.
func (u *ui) display(r *core.Repository, file string) string {
	if u.gitPrefix != "" {
		return displayFrom(u.gitPrefix, file)
	}
	return display(r, file)
}

func displayFrom(below, file string) string {
	if below == "" {
		return file
	}
	rel, err := filepath.Rel(filepath.FromSlash(below), filepath.FromSlash(file))
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}
