package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// Added is data that Add kept.
type Added struct {
	// Name is the artifact's name, Path its path in the experiment.
	Name, Path string
	Artifact   *lockfile.Artifact
	// Changed is false when the lock named this content already.
	Changed bool
	Ignored []string
}

// ClaimedError reports a path that another artifact holds already.
type ClaimedError struct{ Path, By string }

func (e *ClaimedError) Error() string { return fmt.Sprintf("%s belongs to %s already", e.Path, e.By) }

// NoFileError reports a path that the user named with nothing there.
type NoFileError struct{ Path string }

func (e *NoFileError) Error() string { return fmt.Sprintf("there is no file or folder %q", e.Path) }

// Add keeps files and folders of the experiment that no stage writes: their
// bytes go into the store, their names and hashes into the lock. The lock is
// written once, when all are stored.
func (p *Project) Add(ctx context.Context, paths []string) ([]Added, error) {
	release, err := p.hold(ctx, "add")
	if err != nil {
		return nil, err
	}
	defer release()
	p.sweep()
	unused, err := p.useStore(ctx)
	if err != nil {
		return nil, err
	}
	defer unused()
	batch := p.Store.Batch()
	defer batch.Close()
	lock, err := p.Lock()
	if err != nil {
		return nil, err
	}
	var added []Added
	for _, name := range paths {
		a, err := p.addOne(ctx, batch, lock, path.Clean(name))
		if err != nil {
			return nil, err
		}
		// At once, so that the next path gets another name.
		lock.Artifacts[a.Name] = a.Artifact
		added = append(added, *a)
	}
	if err := batch.Commit(ctx); err != nil {
		return nil, fmt.Errorf("add: %w", err)
	}
	next := lockfile.New()
	for i, a := range added {
		next.Artifacts[a.Name] = a.Artifact
		if added[i].Ignored, err = p.ignore(ctx, []string{a.Path}); err != nil {
			return nil, err
		}
	}
	return added, p.writeLock(lock, items(p.Rel, next))
}

func (p *Project) addOne(ctx context.Context, batch cas.Batch, lock *lockfile.Lock, name string) (*Added, error) {
	if err := pipeline.CheckWrite(name); err != nil {
		return nil, fmt.Errorf("add %w", err)
	}
	full := p.join(name)
	if err := p.checkUntracked(ctx, []string{full}); err != nil {
		return nil, err
	}
	key, err := p.addName(lock, name)
	if err != nil {
		return nil, err
	}
	art, err := p.putArtifact(ctx, batch, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoFileError{Path: full}
	}
	if err != nil {
		return nil, fmt.Errorf("add %w", err)
	}
	a := &Added{Name: key, Path: name, Changed: true, Artifact: art}
	if old := lock.Artifacts[key]; old != nil {
		a.Changed = old.Hash != art.Hash
		a.Artifact.Unknown = old.Unknown
	}
	return a, nil
}

// addName returns the name under which path is kept: the one it has already,
// else its base name without suffix, made longer until it is free.
func (p *Project) addName(lock *lockfile.Lock, file string) (string, error) {
	for _, a := range artifactsOf(lock) {
		switch {
		case a.Path == file && a.Stage == "":
			return a.Name, nil
		case overlap(a.Path, file):
			return "", &ClaimedError{Path: file, By: owner(a)}
		}
	}
	if stage := p.writer(file); stage != "" {
		return "", &ClaimedError{Path: file, By: "stage " + stage}
	}
	names := addNames(file)
	const most = 50 // A name has up to 64 bytes; a number is to follow.
	short := strings.TrimLeft(names[0], "-")
	short = short[:min(len(short), most)]
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s-%d", short, i-len(names)+2)
		if i < len(names) {
			name = names[i]
		}
		if _, taken := lock.Artifacts[name]; !taken && lockfile.ValidName(name) {
			return name, nil
		}
	}
}

func owner(a namedArtifact) string {
	if a.Stage != "" {
		return "stage " + a.Stage
	}
	return "artifact " + a.Name
}

// overlap reports whether the paths are the same or one lies in the other.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// addNames lists names for a path, the shortest first.
func addNames(file string) []string {
	base := path.Base(file)
	stem := strings.TrimSuffix(base, path.Ext(base))
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
				return r
			}
			return '_'
		}, s)
	}
	return []string{clean(stem), clean(base), clean(strings.ReplaceAll(file, "/", "-"))}
}

// writer returns the name of the stage that writes a path of the experiment, or
// something in it or around it; "" where none does.
func (p *Project) writer(file string) string {
	for _, stage := range p.Experiment.Stages {
		for _, written := range stage.Artifacts {
			if overlap(written, file) {
				return stage.Name
			}
		}
		for _, source := range stage.Metrics {
			if overlap(source.File, file) {
				return stage.Name
			}
		}
	}
	return ""
}

func (p *Project) hasStage(name string) bool {
	_, err := p.Experiment.Stage(name)
	return err == nil
}
