package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// mostShown is how many names of another repository's artifacts an error lists.
const mostShown = 8

// UnknownArtifactError reports a name that no artifact of a lock has.
type UnknownArtifactError struct {
	Name string
	// Rev is empty for the working tree.
	Rev   string
	Known []string
	// Foreign says that the lock is another repository's.
	Foreign bool
}

func (e *UnknownArtifactError) Error() string {
	where := lockfile.Name
	if e.Rev != "" {
		where = e.Rev + ":" + lockfile.Name
	}
	text := fmt.Sprintf("no artifact %q in %s", e.Name, where)
	if e.Foreign && len(e.Known) > 0 {
		text += "; it has " + strings.Join(e.Known[:min(len(e.Known), mostShown)], ", ")
		if more := len(e.Known) - mostShown; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	return text
}

// AmbiguousError reports an artifact name that several stages use.
type AmbiguousError struct {
	Name  string
	Names []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("artifact %q is ambiguous: %s", e.Name, strings.Join(e.Names, ", "))
}

// ModifiedArtifactError reports an artifact of the working tree that is not what the lock names.
type ModifiedArtifactError struct {
	Path string
	// Missing says that nothing is there.
	Missing bool
}

func (e *ModifiedArtifactError) Error() string {
	if e.Missing {
		return e.Path + " is not in the working tree"
	}
	return fmt.Sprintf("%s is not what %s names", e.Path, lockfile.Name)
}

// FolderError reports a folder where one file is wanted.
type FolderError struct{ Path string }

func (e *FolderError) Error() string { return e.Path + " is a folder" }

// findArtifact returns the artifact with a name: "model", "train.model" or its path.
func (p *Project) findArtifact(ctx context.Context, rev, name string) (*namedArtifact, error) {
	lock, err := p.Lock()
	if rev != "" {
		lock, err = p.LockAt(ctx, rev)
	}
	if err != nil {
		return nil, err
	}
	return pick(lock, name, rev)
}

// pick returns the artifact of a lock with a name: "model", "train.model" or its path.
func pick(lock *lockfile.Lock, name, rev string) (*namedArtifact, error) {
	var matches []namedArtifact
	unknown := &UnknownArtifactError{Name: name, Rev: rev}
	for _, a := range artifactsOf(lock) {
		unknown.Known = append(unknown.Known, a.Name)
		if a.Name == name || a.Stage+"."+a.Name == name || a.Path == name {
			matches = append(matches, a)
		}
	}
	switch len(matches) {
	case 0:
		return nil, unknown
	case 1:
		return &matches[0], nil
	}
	ambiguous := &AmbiguousError{Name: name}
	for _, a := range matches {
		ambiguous.Names = append(ambiguous.Names, a.Stage+"."+a.Name)
	}
	return nil, ambiguous
}

// Cat writes the content of the artifact to w: that of the lock at rev, or, for
// an empty rev, that of the lock in the working tree, read from the working
// tree where the file is there. The bytes are hashed as they go, so that w has
// seen exactly what the lock names when the error is nil; until then the reader
// must not trust them.
func (p *Project) Cat(ctx context.Context, rev, name string, w io.Writer) error {
	a, err := p.findArtifact(ctx, rev, name)
	if err != nil {
		return err
	}
	if a.Folder {
		return &FolderError{Path: a.Path}
	}
	if rev == "" {
		done, err := p.catFile(a, w)
		if done || err != nil {
			return err
		}
	}
	r, err := p.Store.Open(ctx, a.Hash)
	if err == nil {
		_, err = io.Copy(w, r)
		err = errors.Join(err, r.Close())
	}
	return a.unavailable(rev, err)
}

// UnavailableError reports an artifact whose bytes no store within reach has.
type UnavailableError struct {
	Name string
	// Rev is empty for the working tree.
	Rev string
	// Err is a *cas.MissingError or a *cas.CorruptError.
	Err error
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("artifact %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// unavailable names the artifact in an error about its object.
func (a *namedArtifact) unavailable(rev string, err error) error {
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	if errors.As(err, &missing) || errors.As(err, &corrupt) {
		return &UnavailableError{Name: a.Name, Rev: rev, Err: err}
	}
	return err
}

// catFile is Cat from the working tree; false means that nothing is there.
func (p *Project) catFile(a *namedArtifact, w io.Writer) (bool, error) {
	full := p.join(a.Path)
	if err := p.Workspace.CheckParents(full); err != nil {
		return false, err
	}
	info, err := os.Lstat(p.Workspace.Abs(full))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return true, &ModifiedArtifactError{Path: full}
	}
	f, err := openNow(p.Workspace.Abs(full))
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := cas.NewHasher()
	if _, err := io.Copy(io.MultiWriter(w, h), f); err != nil {
		return true, err
	}
	if h.Digest() != a.Hash {
		return true, &ModifiedArtifactError{Path: full}
	}
	return true, nil
}

// Path returns the absolute path of a file or folder with exactly the content
// that the lock names: the artifact itself for an empty rev, else a copy below
// .git/kept that is checked each time.
func (p *Project) Path(ctx context.Context, rev, name string) (string, error) {
	a, err := p.findArtifact(ctx, rev, name)
	if err != nil {
		return "", err
	}
	if rev != "" {
		file, err := p.view(ctx, a)
		return file, a.unavailable(rev, err)
	}
	full := p.join(a.Path)
	o, err := p.Workspace.Scan(ctx, full)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &ModifiedArtifactError{Path: full, Missing: true}
	}
	if err != nil {
		return "", err
	}
	if !matches(o, a.Artifact) {
		return "", &ModifiedArtifactError{Path: full}
	}
	return p.Workspace.Abs(full), nil
}

// view places an artifact of another revision in a folder of its own.
func (p *Project) view(ctx context.Context, a *namedArtifact) (string, error) {
	root := p.Local.Views()
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	views := *p.Repository
	views.Workspace = workspace.Open(root, p.Local.StatCache()+"-views")
	rs := views.restorer()
	rs.place = cas.NewPlacer(root, p.Local.Temp())
	rs.tracked = map[string]bool{}
	file := path.Join(a.Hash.Hex(), path.Base(a.Path))
	rs.tracked[file] = false
	if err := rs.ensure(ctx, item{path: file, art: a.Artifact}); err != nil {
		return "", err
	}
	if len(rs.report.Missing) > 0 {
		return "", &cas.MissingError{Digest: a.Hash}
	}
	if len(rs.report.Left) > 0 {
		return "", rs.report.Left[0].Err
	}
	return views.Workspace.Abs(file), views.Close()
}
