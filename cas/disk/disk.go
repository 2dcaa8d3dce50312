// Package disk is the file system as a store sees it: every operation by which
// it reads or changes a disk, behind one interface, so that tests can make the
// Nth of them fail or be the last one.
//
//	temp, err := fs.Temp("store/tmp")     // nobody sees it
//	temp.Write(b)
//	temp.Sync()                            // the bytes are durable
//	temp.Publish("store/packs/ab.pack")    // the name is there, whole or not at all
//	fs.SyncDir("store/packs")              // the name is durable
//
// A file that was published is never changed.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// FS is the operations. Names are paths of the operating system. Errors are
// those of package os: they answer to errors.Is with fs.ErrNotExist, fs.ErrExist
// and fs.ErrPermission, and to IsFull and IsReadOnly.
type FS interface {
	// Mkdir makes one folder, readable by its owner alone, and by the group in a
	// folder that its owner has given to the group.
	Mkdir(name string) error
	// Temp makes a file without a name in the folder dir, or, where the file
	// system has no such files, one with a name that Sweep recognises.
	Temp(dir string) (Temp, error)
	// Rename gives a file or folder another name, replacing what has it.
	Rename(from, to string) error
	// Link gives a file a second name; a name that is taken is fs.ErrExist.
	Link(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// Touch sets the modification time of a file.
	Touch(name string, t time.Time) error
	// SyncDir makes the names in a folder durable. A file's own Sync does not:
	// after a power cut the file may be safe and its name gone.
	SyncDir(name string) error

	// Open opens a file for reading.
	Open(name string) (File, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes what is at name, following links.
	Stat(name string) (fs.FileInfo, error)
}

// File is a file open for reading. It may be read by many at once.
type File interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	// Map returns the whole content, which must not be written to, and a
	// function that lets go of it. The content may be a view of the disk: an
	// access that the disk fails panics where debug.SetPanicOnFault is set, and
	// else ends the process. Where there is no such view the file is read.
	Map() (content []byte, release func(), err error)
}

// Temp is a file that nobody sees before Publish. WriteAt may be called by many
// at once.
type Temp interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	// WriteBlock is WriteAt with memory, offset and size that a disk can take as they are,
	// and beside no other write: see Bulk. The operating system need not remember it.
	WriteBlock(p []byte, offset int64) (int, error)
	// Sync makes the content durable.
	Sync() error
	// Publish gives the file its name, atomically, and closes it. If the name
	// is taken the error is fs.ErrExist and the file stays as it was.
	Publish(name string) error
	// Discard closes the file and leaves nothing of it unless it was published.
	Discard()
}

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Temp(dir string) (Temp, error)              { return openTemp(dir) }
func (osFS) Rename(from, to string) error               { return os.Rename(from, to) }
func (osFS) Link(from, to string) error                 { return os.Link(from, to) }
func (osFS) Remove(name string) error                   { return os.Remove(name) }
func (osFS) Touch(name string, t time.Time) error       { return os.Chtimes(name, t, t) }
func (osFS) SyncDir(name string) error                  { return syncDir(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }

func (osFS) Mkdir(name string) error {
	err := os.Mkdir(name, DirPerm)
	if err == nil {
		share(name, DirPerm)
	}
	return err
}

func (osFS) Open(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Named is OS as it is where there are no files without names, so that tests of
// what is left behind run everywhere.
var Named FS = namedFS{}

type namedFS struct{ osFS }

func (namedFS) Temp(dir string) (Temp, error) { return openNamedTemp(dir) }

// Foreign is OS for reading what belongs to somebody else: a file that is a
// link counts as missing, and no pipe is waited for. What would change anything
// is fs.ErrPermission.
var Foreign FS = foreignFS{}

type foreignFS struct{ osFS }

func refuse(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission} }

func (foreignFS) Mkdir(name string) error              { return refuse("mkdir", name) }
func (foreignFS) Temp(dir string) (Temp, error)        { return nil, refuse("create temporary file", dir) }
func (foreignFS) Rename(from, _ string) error          { return refuse("rename", from) }
func (foreignFS) Link(from, _ string) error            { return refuse("link", from) }
func (foreignFS) Remove(name string) error             { return refuse("remove", name) }
func (foreignFS) Touch(name string, _ time.Time) error { return refuse("touch", name) }
func (foreignFS) SyncDir(name string) error            { return refuse("sync", name) }

func (foreignFS) Open(name string) (File, error) {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := openForeign(name)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// MakeDir makes sure that a folder exists and will exist after a power cut.
// A folder that is there already may be another process's and not durable yet,
// so its parent is synced too, up to and including the folder top.
func MakeDir(fsys FS, top, dir string) error {
	err := fsys.Mkdir(dir)
	made := err == nil
	if isNotExist(err) && filepath.Dir(dir) != dir {
		if err := MakeDir(fsys, top, filepath.Dir(dir)); err != nil {
			return err
		}
		err = fsys.Mkdir(dir)
		made = err == nil
	}
	if err != nil && !isExist(err) {
		return err
	}
	if inside := len(dir) > len(top); made || inside {
		// What was there above top is not ours, and perhaps not readable to us.
		return fsys.SyncDir(filepath.Dir(dir))
	}
	return nil
}

// NewTemp makes a temporary file in dir, and dir where it is missing: see MakeDir.
func NewTemp(fsys FS, top, dir string) (Temp, error) {
	t, err := fsys.Temp(dir)
	if !isNotExist(err) {
		return t, err
	}
	if err := MakeDir(fsys, top, dir); err != nil {
		return nil, err
	}
	return fsys.Temp(dir)
}

type osFile struct{ *os.File }

func isExist(err error) bool    { return errors.Is(err, fs.ErrExist) }
func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
