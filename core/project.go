package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// NoExperimentError reports that no kept.toml lies in Dir or above it, up to
// the top of the repository.
type NoExperimentError struct {
	Dir string
	// Tracked says that only those that Git tracks were looked for, in all of the
	// repository Dir.
	Tracked bool
}

func (e *NoExperimentError) Error() string {
	if e.Tracked {
		return fmt.Sprintf("Git tracks no %s in %q", pipeline.Name, e.Dir)
	}
	return fmt.Sprintf("no %s in %q or above it", pipeline.Name, e.Dir)
}

// SparseError reports a kept.toml or kept.lock that Git tracks but a sparse
// checkout leaves out. It is not there, and it is not gone either: nothing may be
// concluded from its absence, and nothing written in its place.
type SparseError struct {
	// Path is relative to the top of the repository.
	Path string
}

func (e *SparseError) Error() string {
	return fmt.Sprintf("%s is not in the working tree: a sparse checkout leaves it out", e.Path)
}

// leftOut returns a *SparseError for the first of files that one is about.
func (r *Repository) leftOut(files ...string) error {
	out, err := r.Git.LeftOut(context.Background(), files...)
	if err == nil && len(out) > 0 {
		err = &SparseError{Path: out[0]}
	}
	return err
}

// FileError reports a file of the project that can't be used as it is.
type FileError struct {
	// Path is relative to the top of the repository.
	Path string
	// Rev is the revision that has the file; empty for the working tree.
	Rev string
	Err error
}

func (e *FileError) Error() string {
	if e.Rev != "" {
		return e.Rev + ":" + e.Path + ": " + e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// reason returns what the system says of a file, without the operation and the
// absolute path that come with it: whoever wraps it names the file.
func reason(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// Repository is a clone with its store: what commands need that work on every
// lock of a worktree.
type Repository struct {
	Git       *git.Repo
	Local     Local
	Store     cas.Store
	Workspace *workspace.Workspace
	objects   *cas.Local
	// unshared says why a shared store does not know this clone. Nothing may be
	// put there then: somebody else would collect it.
	unshared error
}

// OpenRepository opens the repository that dir lies in. It writes nothing, but
// the name of this clone into a shared store that does not know it.
func OpenRepository(dir string) (*Repository, error) {
	repo, err := git.Find(dir)
	if err != nil {
		return nil, err
	}
	local := NewLocal(repo)
	repo.Temp = local.Temp()
	r := &Repository{
		Git:       repo,
		Local:     local,
		Workspace: workspace.Open(repo.Root, local.StatCache()),
	}
	if err := r.openStores(); err != nil {
		return nil, err
	}
	return r, nil
}

// Close writes what is worth remembering. Losing it costs time only.
func (r *Repository) Close() error {
	if err := r.Workspace.Close(); !cas.IsReadOnly(err) && !cas.IsDiskFull(err) {
		return err
	}
	return nil
}

// Project is one experiment of a repository: a kept.toml and its kept.lock.
type Project struct {
	*Repository
	// Rel is the experiment's folder relative to the top of the worktree, with
	// forward slashes; "" is the top itself.
	Rel        string
	Experiment *pipeline.Experiment
	// unmerged is the lock in the middle of a merge while Rerun settles it.
	unmerged *lockfile.Unmerged
}

// Open opens the experiment of the nearest kept.toml in dir or above it.
func Open(dir string) (*Project, error) {
	r, err := OpenRepository(dir)
	if err != nil {
		return nil, err
	}
	rel, err := r.Rel(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for at := rel; ; at = parent(at) {
		file := path.Join(at, pipeline.Name)
		if r.Workspace.Exists(file) {
			return r.Project(at)
		}
		files = append(files, file)
		if at == "" {
			break
		}
	}
	if err := r.leftOut(files...); err != nil {
		return nil, err
	}
	return nil, &NoExperimentError{Dir: dir}
}

// Project opens the experiment in folder rel of the worktree.
func (r *Repository) Project(rel string) (*Project, error) {
	p := &Project{Repository: r, Rel: rel}
	file := p.join(pipeline.Name)
	data, err := r.readOwn(file, pipeline.MaxSize)
	if err != nil {
		return nil, &FileError{Path: file, Err: reason(err)}
	}
	if p.Experiment, err = pipeline.Parse(data); err != nil {
		return nil, p.within(err)
	}
	return p, nil
}

// Projects opens every experiment of the worktree whose kept.toml Git tracks or
// that lies where the state remembers a lock, in the order of their paths.
func (r *Repository) Projects(ctx context.Context) ([]*Project, error) {
	files, err := r.Git.Files(ctx, pipeline.Name)
	if err != nil {
		return nil, err
	}
	var projects []*Project
	for _, file := range files {
		if !r.Workspace.Exists(file) {
			continue
		}
		p, err := r.Project(parent(file))
		if err != nil {
			return nil, err
		}
		projects = append(projects, p)
	}
	if len(projects) == 0 && len(files) > 0 {
		return nil, r.leftOut(files[0])
	}
	return projects, nil
}

// Rel returns dir relative to the top of the worktree; "" is the top.
func (r *Repository) Rel(dir string) (string, error) {
	rel, err := r.Git.Rel(dir)
	if rel == "." {
		rel = ""
	}
	return rel, err
}

// Dir returns the absolute folder of the experiment.
func (p *Project) Dir() string { return p.Workspace.Abs(p.Rel) }

// join returns a path of kept.toml or kept.lock relative to the worktree.
func (p *Project) join(name string) string { return path.Join(p.Rel, name) }

// LockPath returns the path of the lock relative to the worktree.
func (p *Project) LockPath() string { return p.join(lockfile.Name) }

// What a program reads for the lock that runs while a merge is being settled.
const (
	lockVariable = "KEPT_LOCK"
	settledFile  = "settled.lock"
)

// Lock reads the lock in the working tree; a lock that is not there yet is empty.
func (p *Project) Lock() (*lockfile.Lock, error) {
	if file := os.Getenv(lockVariable); file != "" && os.Getenv("KEPT_EXPERIMENT") == p.Dir() {
		data, err := readBounded(file, lockfile.MaxSize)
		if err != nil {
			return nil, &FileError{Path: file, Err: reason(err)}
		}
		return lockfile.Parse(data)
	}
	lock, digest, err := p.readLock(p.LockPath())
	if err == nil && digest.IsZero() {
		err = p.leftOut(p.LockPath())
	}
	return lock, err
}

// lockToWrite is Lock without the blocks that a merge spliced together or left
// in conflict, whose stages it names: running them is what replaces the blocks.
func (p *Project) lockToWrite() (lock *lockfile.Lock, unusable map[string]pipeline.Kind, err error) {
	if p.unmerged != nil {
		unusable = map[string]pipeline.Kind{}
		for _, c := range p.unmerged.Conflicts {
			unusable[c.Stage] = pipeline.KindConflict
		}
		return p.unmerged.Settled, unusable, nil
	}
	data, err := p.readOwn(p.LockPath(), lockfile.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return lockfile.New(), nil, p.leftOut(p.LockPath())
	}
	if err != nil {
		return nil, nil, &FileError{Path: p.LockPath(), Err: reason(err)}
	}
	lock, spliced, err := lockfile.ParseUnspliced(data)
	if err != nil {
		return nil, nil, &FileError{Path: p.LockPath(), Err: err}
	}
	unusable = map[string]pipeline.Kind{}
	for _, name := range spliced {
		unusable[name] = pipeline.KindSpliced
	}
	return lock, unusable, nil
}

// readLock reads and parses a lock of the working tree. The digest is of the
// file's bytes and zero when there is no file.
func (r *Repository) readLock(file string) (*lockfile.Lock, cas.Digest, error) {
	lock, digest, err := readSettled(func() ([]byte, error) { return r.readOwn(file, lockfile.MaxSize) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lockfile.New(), cas.Digest{}, nil
	case err != nil:
		return nil, cas.Digest{}, &FileError{Path: file, Err: reason(err)}
	}
	return lock, digest, nil
}

// settling is how long something has to stay as it is before it counts as wrong.
const settling = 50 * time.Millisecond

// readSettled reads and parses a lock. Git writes a file where others see it grow, so
// what does not parse is read again until it stays the same.
func readSettled(read func() ([]byte, error)) (*lockfile.Lock, cas.Digest, error) {
	for was := (cas.Digest{}); ; time.Sleep(settling) {
		data, err := read()
		if err != nil {
			return nil, cas.Digest{}, err
		}
		lock, err := lockfile.Parse(data)
		is := cas.Sum(data)
		if err == nil || is == was {
			return lock, is, err
		}
		was = is
	}
}

// LockAt reads the lock of this experiment as it was at rev; a revision without
// one has an empty lock, and so has HEAD before the first commit.
func (p *Project) LockAt(ctx context.Context, rev string) (*lockfile.Lock, error) {
	data, err := p.Git.ReadFile(ctx, rev, p.LockPath())
	return p.parseLock(rev, git.Content{Data: data, Err: err})
}

// parseLock makes a lock of what Git has of it at rev.
func (p *Project) parseLock(rev string, content git.Content) (*lockfile.Lock, error) {
	var unknown *git.RevisionError
	switch {
	case errors.Is(content.Err, fs.ErrNotExist):
		return lockfile.New(), nil
	case errors.As(content.Err, &unknown) && rev == "HEAD":
		return lockfile.New(), nil // a branch without a commit
	case content.Err != nil:
		return nil, content.Err
	}
	lock, err := lockfile.Parse(content.Data)
	if err != nil {
		return nil, &FileError{Path: p.LockPath(), Rev: rev, Err: err}
	}
	return lock, nil
}

// readOwn reads a kept.toml or kept.lock of the working tree. Neither is read
// through a link: what lies behind one may belong to nobody's repository.
func (r *Repository) readOwn(file string, limit int64) ([]byte, error) {
	info, err := os.Lstat(r.Workspace.Abs(file))
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, &workspace.LinkError{Path: file, Link: file}
	}
	return readBounded(r.Workspace.Abs(file), limit)
}

func parent(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}
