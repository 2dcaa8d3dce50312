package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/kept-dev/kept/cas"
)

// ErrChanging reports a file that was written to while it was being read.
var ErrChanging = errors.New("file changed while it was read")

// ChangingError is ErrChanging with the path of what changed.
type ChangingError struct{ Path string }

func (e *ChangingError) Error() string { return fmt.Sprintf("%q: %v", e.Path, ErrChanging) }

func (e *ChangingError) Unwrap() error { return ErrChanging }

// ErrSpecial reports a device, socket or pipe, which has no content to keep.
var ErrSpecial = errors.New("neither a file, a folder nor a link")

// LinkError reports a symbolic link where a file or folder of the user's is
// expected: what lies behind it could change without the path changing.
type LinkError struct {
	Path string
	// Link is Path itself, or the folder on the way to it that is the link.
	Link string
}

func (e *LinkError) Error() string {
	if e.Link == e.Path {
		return fmt.Sprintf("%q is a symbolic link", e.Path)
	}
	return fmt.Sprintf("%q is behind the symbolic link %q", e.Path, e.Link)
}

// Progress hears of work on bytes. Its methods may be called from several
// goroutines. A nil Progress of a Workspace hears nothing.
type Progress interface {
	// Add reports that n more bytes have been read or written.
	Add(n int64)
}

// Workspace is the files of one working tree. It is safe for concurrent use, but
// for Close and Forget, which nothing else may run beside. Several processes may
// have the same stat cache: what one of them learned may be lost, which costs time
// and nothing else.
type Workspace struct {
	root     string
	cache    *statCache
	now      func() time.Time
	Progress Progress
}

// Open returns the working tree at root, with the stat cache in cacheFile. A
// missing or damaged cache counts as empty.
func Open(root, cacheFile string) *Workspace {
	return &Workspace{root: root, cache: openCache(cacheFile), now: time.Now}
}

// Root returns the absolute path of the working tree.
func (w *Workspace) Root() string { return w.root }

// Close writes the stat cache when something was learned. A cache that can't be
// written costs time later, nothing else, so callers may ignore the error.
func (w *Workspace) Close() error { return w.cache.save(w.now()) }

// Abs returns the path of a file below the root for the operating system.
func (w *Workspace) Abs(path string) string {
	return filepath.Join(w.root, filepath.FromSlash(path))
}

// Object is a file or folder as it was read.
type Object struct {
	// Digest is of the file's content or of the folder's tree manifest.
	Digest cas.Digest
	// Size is the plain size in bytes, for a folder the sum over its entries.
	Size       int64
	Folder     bool
	Executable bool
	files      int64
	// tree makes the tree, once: most callers want no more than the digest.
	tree func() cas.Tree
}

func folderObject(root *folder, w whole) *Object {
	return &Object{
		Digest: w.digest, Size: w.size, Folder: true,
		files: w.files, tree: sync.OnceValue(func() cas.Tree { return root.tree(w.files) }),
	}
}

// Tree lists a folder's entries; nil for a file. The caller must not change it.
func (o *Object) Tree() cas.Tree {
	if o.tree == nil {
		return nil
	}
	return o.tree()
}

// Files returns the number of entries of a folder, and 0 for a file.
func (o *Object) Files() int64 { return o.files }

// Exists reports whether there is something at path, a dangling link included.
func (w *Workspace) Exists(path string) bool {
	_, err := os.Lstat(w.Abs(path))
	return err == nil
}

// Note remembers the digest of a file that was just placed at path. It is trusted
// as soon as the clock has moved on: a change in the same tick would not show.
func (w *Workspace) Note(path string, info fs.FileInfo, digest cas.Digest) {
	w.cache.note(path, statOf(info), digest)
}

// CheckParents returns a *LinkError when a folder on the way to path is a symbolic
// link. Components that do not exist yet are fine.
func (w *Workspace) CheckParents(path string) error {
	for i, c := range path {
		if c != '/' {
			continue
		}
		info, err := os.Lstat(w.Abs(path[:i]))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return &LinkError{Path: path, Link: path[:i]}
		}
	}
	return nil
}

// Forget drops all that the stat cache knows, so that every file is read anew.
func (w *Workspace) Forget() { w.cache.forget() }
