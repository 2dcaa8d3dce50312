package core

import (
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// used is the runtime of a stage and the packages that it used.
type used struct {
	Runtime  string
	Packages []environment.Package
}

// usedEnvironment prefers what the program said it imported to what its
// interpreter has installed. It returns nil where neither is known.
func (r *run) usedEnvironment(ctx context.Context, log *events.Log) *used {
	runtime := r.interpreter(ctx, r.stage)
	r.record.Runtime = runtime
	if e := log.Environment; e != nil {
		return &used{Runtime: strings.Join(e.Runtimes, ", "), Packages: environment.PackagesOf(e.Packages)}
	}
	if runtime == nil {
		return nil
	}
	return &used{Runtime: runtime.String(), Packages: runtime.Packages}
}

// interpreter asks the interpreter that a stage's command names.
func (p *Project) interpreter(ctx context.Context, stage *pipeline.Stage) *environment.Runtime {
	runtime, err := environment.Interpreter(ctx, stage.Command, p.Dir(), os.Environ())
	if err != nil {
		return nil
	}
	return runtime
}

// environmentNow describes the environment as it is now in the terms of the
// block: of its packages, the versions that are installed now.
func (p *Project) environmentNow(ctx context.Context, stage *pipeline.Stage, block *lockfile.Stage) (*lockfile.Environment, error) {
	now, err := p.environmentFiles(ctx)
	if err != nil {
		return nil, err
	}
	runtime := p.interpreter(ctx, stage)
	if runtime == nil || block.Environment == nil {
		if block.Environment != nil {
			now.Runtime, now.Packages = block.Environment.Runtime, block.Environment.Packages
		}
		return now, nil
	}
	now.Runtime = runtime.String()
	now.Packages = block.Environment.Packages
	if now.Packages.IsZero() {
		return now, nil
	}
	old, err := p.Packages(ctx, now.Packages)
	if err != nil {
		return nil, err
	}
	now.Packages, err = p.keepBytes(ctx, environment.FormatPackages(versionsNow(old, runtime.Packages)))
	return now, err
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
