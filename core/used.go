package core

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// interpreter asks the interpreter that a stage's command names.
func (p *Project) interpreter(ctx context.Context, stage *pipeline.Stage) *environment.Runtime {
	runtime, err := environment.Interpreter(ctx, stage.Command, p.Dir(), os.Environ())
	if err != nil {
		return nil
	}
	return runtime
}

// environmentNow describes the environment as it is now in the terms of the
// block: of its packages, the versions that are installed now. It asks the
// interpreter that the command names.
func (p *Project) environmentNow(ctx context.Context, stage *pipeline.Stage, block *lockfile.Stage) (*lockfile.Environment, error) {
	now, err := p.environmentHere(ctx, block)
	if err != nil || block.Environment == nil {
		return now, err
	}
	runtime := p.interpreter(ctx, stage)
	if runtime == nil {
		return now, nil
	}
	now.Runtime = runtime.String()
	if now.Packages.IsZero() {
		return now, nil
	}
	old, err := p.Packages(ctx, now.Packages)
	if err != nil {
		return nil, err
	}
	now.Packages, err = p.keepPackages(ctx, versionsNow(old, runtime.Packages))
	return now, err
}

// environmentHere is environmentNow as far as it shows without starting a
// program that the repository names: the platform and the requirement files.
// The rest is as the block has it.
func (p *Project) environmentHere(ctx context.Context, block *lockfile.Stage) (*lockfile.Environment, error) {
	here, err := p.environmentFiles(ctx)
	if err == nil && block.Environment != nil {
		here.Runtime, here.Packages = block.Environment.Runtime, block.Environment.Packages
	}
	return here, err
}

// compareEnvironments names what differs between two environments, packages by
// their names where the store has both lists.
func (p *Project) compareEnvironments(ctx context.Context, old, new *lockfile.Environment) []environment.Change {
	var changes []environment.Change
	for _, c := range environment.Compare(old, new) {
		packages, err := p.comparePackages(ctx, old.Packages, new.Packages)
		if c.Name != "packages" || err != nil {
			changes = append(changes, c)
			continue
		}
		for _, c := range packages {
			changes = append(changes, environment.Change(c))
		}
	}
	return changes
}

// joinChanges writes changes for people: values, and of files only that they changed.
func joinChanges(changes []environment.Change) string {
	const most = 5
	var parts []string
	for i, c := range changes {
		if i == most && len(changes) > most+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(changes)-most))
			break
		}
		parts = append(parts, c.String())
	}
	return strings.Join(parts, ", ")
}

// environmentFiles describes the platform and the requirement files.
func (p *Project) environmentFiles(ctx context.Context) (*lockfile.Environment, error) {
	env := &lockfile.Environment{Platform: environment.Platform(), Files: map[string]cas.Digest{}}
	for _, name := range environment.RequirementFiles(p.Dir(), p.Git.Root) {
		o, err := p.Workspace.Scan(ctx, path.Join(p.Rel, name))
		if err != nil {
			return nil, err
		}
		env.Files[name] = o.Digest
	}
	return env, nil
}

// maxPackages bounds the size in bytes of a package list.
const maxPackages = 16 << 20

// Packages returns the package list with that digest.
func (r *Repository) Packages(ctx context.Context, d cas.Digest) ([]environment.Package, error) {
	data, err := cas.ReadAll(ctx, r.Store, d, maxPackages)
	if err != nil {
		return nil, err
	}
	return environment.ParsePackages(data)
}

// versionsNow returns the packages of old as they are installed now.
func versionsNow(old, installed []environment.Package) []environment.Package {
	names := map[string]bool{}
	for _, p := range old {
		names[p.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(installed), func(p environment.Package) bool {
		return !names[environment.NormalizeName(p.Name)]
	})
}
