package cas

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/kept-dev/kept/cas/disk"
)

// folder is a folder that is held open.
type folder struct {
	*os.Root
	path string      // relative to the Placer's root, which is ""
	info fs.FileInfo // of the folder when it was opened; nil for the root and tmp
	used int         // when last
	self *os.File    // the same folder, for what os.Root can't do; see descriptor
}

func (f *folder) Close() error {
	err := f.Root.Close()
	if f.self != nil {
		err = errors.Join(err, f.self.Close())
	}
	return err
}

// maxHeld is the number of folders that a session holds open: enough for a path
// and some neighbours, few beside the number of files that a process may open.
const maxHeld = 32

// folders are the folders below the root of a Placer that a session holds open.
type folders struct {
	p     *Placer
	held  map[string]*folder
	clock int
	// exchanged is the first folder that turned out not to be at its path any more.
	exchanged error
}

func (h *folders) holds(path string) bool { return h.held[path] != nil }

// get returns the folder at path, for the sake of target, and makes it if it is
// missing and create is set.
func (h *folders) get(path string, create bool, target string) (*folder, error) {
	h.clock++
	if f := h.held[path]; f != nil {
		f.used = h.clock
		return f, nil
	}
	if path == "" {
		root, err := os.OpenRoot(h.p.root)
		if err != nil {
			return nil, err
		}
		return h.hold(&folder{Root: root}), nil
	}
	up, name := splitPath(path)
	parent, err := h.get(up, create, target)
	if err != nil {
		return nil, err
	}
	sub, err := h.p.enter(parent, name, create, target, path)
	if err != nil {
		return nil, err
	}
	return h.hold(sub), nil
}

// hold keeps f open, and lets go of the one that was not used for longest.
func (h *folders) hold(f *folder) *folder {
	if h.held == nil {
		h.held = make(map[string]*folder, maxHeld)
	}
	if len(h.held) >= maxHeld {
		var oldest *folder
		for _, other := range h.held {
			if oldest == nil || other.used < oldest.used {
				oldest = other
			}
		}
		h.check(oldest.path)
		h.drop(oldest.path)
	}
	f.used = h.clock
	h.held[f.path] = f
	return f
}

func (h *folders) check(path string) {
	if h.exchanged == nil && !h.inPlace(path) {
		h.exchanged = &UnsafeError{Path: path, At: path, Reason: "changing while it is used"}
	}
}

// inPlace reports whether the folder held open for path is still the one there.
func (h *folders) inPlace(path string) bool {
	f := h.held[path]
	if f == nil || f.info == nil {
		return f != nil
	}
	fresh := folders{p: h.p} // not through what is held, which may have moved as well
	defer fresh.dropAll()
	up, name := splitPath(path)
	parent := h.held[up]
	if parent == nil {
		var err error
		if parent, err = fresh.get(up, false, path); err != nil {
			return false
		}
	}
	now, err := parent.Lstat(name)
	return err == nil && os.SameFile(f.info, now)
}

// drop lets go of a folder.
func (h *folders) drop(path string) {
	if f := h.held[path]; f != nil {
		_ = f.Close() // nothing is written through it
		delete(h.held, path)
	}
}

func (h *folders) dropAll() {
	for path := range h.held {
		h.drop(path)
	}
}

// close lets go of all folders and returns what is wrong with one of them.
func (h *folders) close() error {
	for path := range h.held {
		h.check(path)
	}
	h.dropAll()
	return h.exchanged
}

// enter opens the folder name in dir if it is one, and makes it if it is
// missing and create is set. It is at, on the way to path.
func (p *Placer) enter(dir *folder, name string, create bool, path, at string) (*folder, error) {
	info, err := dir.Lstat(name)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := p.ops.mkdir(dir, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = dir.Lstat(name)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &UnsafeError{Path: path, At: at, Reason: describe(info)}
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	// OpenRoot follows a link. Here it could only be one that came since Lstat.
	if now, err := sub.Stat("."); err != nil || !os.SameFile(info, now) {
		sub.Close()
		return nil, &UnsafeError{Path: path, At: at, Reason: "changing while it is used"}
	}
	return &folder{Root: sub, path: at, info: info}, nil
}

// openTemp opens the folder for unfinished files, and makes it if it is missing.
func (s *Session) openTemp() error {
	if s.tmp != nil {
		return nil
	}
	root, err := os.OpenRoot(s.p.tmp)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(s.p.tmp, disk.DirPerm); err == nil {
			root, err = os.OpenRoot(s.p.tmp)
		}
	}
	if err == nil {
		s.tmp = &folder{Root: root}
	}
	return err
}

func (s *Session) closeTemp() {
	if s.tmp != nil {
		_ = s.tmp.Close()
		s.tmp = nil
	}
}

// splitPath returns the folder of path, "" for the root, and the last component.
func splitPath(path string) (up, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
