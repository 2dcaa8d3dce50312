// Package disktest is disks that go wrong, for tests of what is kept on them.
//
// Faults is a disk whose Nth operation fails or is the last one. Power is a disk
// that knows what was synced, and makes the folder that a power cut would leave.
//
//	for n := 1; ; n++ {
//		faulty := disktest.NewFaults(disk.OS, disktest.Nth(n, false, nil))
//		err := work(faulty)                  // fails, or does without
//		check(disk.OS)                       // nothing is lost, a repeat succeeds
//		if faulty.Count() < n { break }
//	}
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kept-dev/kept/cas/disk"
)

// Kind is a kind of operation of a disk.FS, its File or its Temp.
type Kind string

// The kinds. Flush, Close and Discard are none: they have no result.
const (
	Mkdir   Kind = "mkdir"
	NewTemp Kind = "temp"
	Rename  Kind = "rename"
	Link    Kind = "link"
	Remove  Kind = "remove"
	Touch   Kind = "touch"
	SyncDir Kind = "sync folder"
	Open    Kind = "open"
	ReadDir Kind = "read folder"
	Stat    Kind = "stat"
	Read    Kind = "read"
	Map     Kind = "map"
	Write   Kind = "write"
	// ReadBack reads what was written and not published yet.
	ReadBack Kind = "read back"
	Sync     Kind = "sync"
	Publish  Kind = "publish"
)

// Changes reports whether operations of the kind change the disk.
func (k Kind) Changes() bool {
	switch k {
	case Open, ReadDir, Stat, Read, Map, ReadBack:
		return false
	}
	return true
}

// Op is one operation.
type Op struct {
	// N is its number, from 1.
	N    int
	Kind Kind
	// Name is the path that it is about; of a Temp without a name, its folder's.
	Name string
}

func (o Op) String() string { return fmt.Sprintf("operation %d, %s %s", o.N, o.Kind, o.Name) }

// Rule says what becomes of an operation: nothing for nil, else it fails with
// the error. It is called by one goroutine at a time.
type Rule func(Op) error

// ErrDie is what a Rule returns for the process to die: the operation is not
// done, but for half of a write, and nothing after it changes the disk.
var ErrDie = errors.New("the process dies here")

// errDead is what happens after a death.
var errDead = fmt.Errorf("it is dead: %w", ErrDie)

// Nth fails the nth of the operations that match (nil: all), and with forever
// set all that match after it. The error is one that such an operation has.
func Nth(n int, forever bool, match func(Op) bool) Rule {
	count := 0
	return func(op Op) error {
		if match != nil && !match(op) {
			return nil
		}
		count++
		if count == n || forever && count > n {
			return errorOf(op, n)
		}
		return nil
	}
}

// DieAt dies at the nth operation that changes the disk.
func DieAt(n int) Rule {
	count := 0
	return func(op Op) error {
		if op.Kind.Changes() {
			count++
		}
		if count == n {
			return ErrDie
		}
		return nil
	}
}

// errorOf returns a full disk or a broken one, by turns; reading and syncing
// know only broken ones.
func errorOf(op Op, n int) error {
	errno := syscall.EIO
	if op.Kind.Changes() && op.Kind != Sync && op.Kind != SyncDir && op.Kind != Remove && n%2 == 0 {
		errno = syscall.ENOSPC
	}
	return &fs.PathError{Op: "injected: " + string(op.Kind), Path: op.Name, Err: errno}
}

// ParseRule makes a Rule of a text, for a program that a test starts:
// "fail 7" and "fail 7 forever" are Nth, "die 7" is DieAt.
func ParseRule(text string) (Rule, error) {
	f := strings.Fields(text)
	if len(f) < 2 || len(f) > 3 {
		return nil, fmt.Errorf("rule %q", text)
	}
	n, err := strconv.Atoi(f[1])
	switch {
	case err != nil:
		return nil, fmt.Errorf("rule %q: %w", text, err)
	case f[0] == "die" && len(f) == 2:
		return DieAt(n), nil
	case f[0] == "fail" && (len(f) == 2 || f[2] == "forever"):
		return Nth(n, len(f) == 3, nil), nil
	}
	return nil, fmt.Errorf("rule %q", text)
}

// Faults is a disk.FS that asks a Rule before every operation of another.
type Faults struct {
	// Exit makes dying the end of this process. Without it a death is a disk that
	// nobody reaches any more: all operations fail, and what has to be cleaned up stays.
	Exit bool
	// Spoil, if set, may change what was just read from a file at an offset. It is
	// called by one at a time.
	Spoil    func(name string, offset int64, p []byte)
	spoiling sync.Mutex

	under disk.FS
	mu    sync.Mutex
	rule  Rule
	ops   []Op
	hit   *Op
	dead  bool
}

var _ disk.FS = (*Faults)(nil)

// NewFaults returns a disk over another; a nil rule lets everything pass.
func NewFaults(under disk.FS, rule Rule) *Faults { return &Faults{under: under, rule: rule} }

// Set puts another rule in force and counts from 1 again; the dead live.
func (f *Faults) Set(rule Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule, f.ops, f.hit, f.dead = rule, nil, nil, false
}

// Count returns how many operations there were.
func (f *Faults) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Ops returns the operations that there were.
func (f *Faults) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Op(nil), f.ops...)
}

// Hit returns the first operation that the rule let fail, or nil.
func (f *Faults) Hit() *Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

func (f *Faults) ask(kind Kind, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errDead
	}
	op := Op{N: len(f.ops) + 1, Kind: kind, Name: name}
	f.ops = append(f.ops, op)
	if f.rule == nil {
		return nil
	}
	err := f.rule(op)
	if err != nil && f.hit == nil {
		f.hit = &op
	}
	f.dead = errors.Is(err, ErrDie)
	return err
}

// end ends the process if err says that it died, after what half there was to do.
func (f *Faults) end(err error) error {
	if f.Exit && errors.Is(err, ErrDie) {
		os.Exit(137) // as after SIGKILL
	}
	return err
}

func (f *Faults) do(kind Kind, name string, op func() error) error {
	if err := f.ask(kind, name); err != nil {
		return f.end(err)
	}
	return op()
}

// Mkdir implements disk.FS.
func (f *Faults) Mkdir(name string) error {
	return f.do(Mkdir, name, func() error { return f.under.Mkdir(name) })
}

// Rename implements disk.FS.
func (f *Faults) Rename(from, to string) error {
	return f.do(Rename, to, func() error { return f.under.Rename(from, to) })
}

// Link implements disk.FS.
func (f *Faults) Link(from, to string) error {
	return f.do(Link, to, func() error { return f.under.Link(from, to) })
}

// Remove implements disk.FS.
func (f *Faults) Remove(name string) error {
	return f.do(Remove, name, func() error { return f.under.Remove(name) })
}

// Touch implements disk.FS.
func (f *Faults) Touch(name string, t time.Time) error {
	return f.do(Touch, name, func() error { return f.under.Touch(name, t) })
}

// SyncDir implements disk.FS.
func (f *Faults) SyncDir(name string) error {
	return f.do(SyncDir, name, func() error { return f.under.SyncDir(name) })
}

// ReadDir implements disk.FS.
func (f *Faults) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = f.do(ReadDir, name, func() (err error) { list, err = f.under.ReadDir(name); return err })
	return list, err
}

// Stat implements disk.FS.
func (f *Faults) Stat(name string) (info fs.FileInfo, err error) {
	err = f.do(Stat, name, func() (err error) { info, err = f.under.Stat(name); return err })
	return info, err
}

// Open implements disk.FS.
func (f *Faults) Open(name string) (disk.File, error) {
	var file disk.File
	err := f.do(Open, name, func() (err error) { file, err = f.under.Open(name); return err })
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, name}, nil
}

// Temp implements disk.FS.
func (f *Faults) Temp(dir string) (disk.Temp, error) {
	var temp disk.Temp
	err := f.do(NewTemp, dir, func() (err error) { temp, err = f.under.Temp(dir); return err })
	if err != nil {
		return nil, err
	}
	return faultyTemp{temp, f, dir}, nil
}

type faultyFile struct {
	disk.File
	disk *Faults
	name string
}

func (f faultyFile) Stat() (info fs.FileInfo, err error) {
	err = f.disk.do(Stat, f.name, func() (err error) { info, err = f.File.Stat(); return err })
	return info, err
}

func (f faultyFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.disk.do(Read, f.name, func() (err error) { n, err = f.File.ReadAt(p, off); return err })
	f.disk.spoil(f.name, off, p[:n])
	return n, err
}

func (f *Faults) spoil(name string, offset int64, p []byte) {
	if f.Spoil == nil {
		return
	}
	f.spoiling.Lock()
	defer f.spoiling.Unlock()
	f.Spoil(name, offset, p)
}

func (f faultyFile) Map() (b []byte, release func(), err error) {
	err = f.disk.do(Map, f.name, func() (err error) { b, release, err = f.File.Map(); return err })
	if err == nil && f.disk.Spoil != nil {
		b = append([]byte(nil), b...)
		f.disk.spoil(f.name, 0, b)
	}
	return b, release, err
}

type faultyTemp struct {
	disk.Temp
	disk *Faults
	dir  string
}

// write writes half of the bytes when it fails: that is what a full disk does.
func (t faultyTemp) write(p []byte, write func([]byte) (int, error)) (int, error) {
	err := t.disk.ask(Write, t.dir)
	switch {
	case err == nil:
		return write(p)
	case errors.Is(err, errDead):
		return 0, err
	}
	n, _ := write(p[:len(p)/2])
	return n, t.disk.end(err)
}

func (t faultyTemp) Write(p []byte) (int, error) { return t.write(p, t.Temp.Write) }

func (t faultyTemp) WriteAt(p []byte, off int64) (int, error) {
	return t.write(p, func(p []byte) (int, error) { return t.Temp.WriteAt(p, off) })
}

func (t faultyTemp) WriteBlock(p []byte, off int64) (int, error) {
	return t.write(p, func(p []byte) (int, error) { return t.Temp.WriteBlock(p, off) })
}

func (t faultyTemp) ReadAt(p []byte, off int64) (n int, err error) {
	err = t.disk.do(ReadBack, t.dir, func() (err error) { n, err = t.Temp.ReadAt(p, off); return err })
	return n, err
}

func (t faultyTemp) Sync() error { return t.disk.do(Sync, t.dir, t.Temp.Sync) }

func (t faultyTemp) Publish(name string) error {
	return t.disk.do(Publish, name, func() error { return t.Temp.Publish(name) })
}

// Discard of the dead removes nothing.
func (t faultyTemp) Discard() {
	t.disk.mu.Lock()
	dead := t.disk.dead
	t.disk.mu.Unlock()
	if !dead {
		t.Temp.Discard()
	}
}
