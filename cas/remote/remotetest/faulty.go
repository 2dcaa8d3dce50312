package remotetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

// How is what goes wrong with an operation of a Faulty.
type How int

// What can go wrong. Where it makes no sense for an operation, it is Fail.
const (
	// Fail does nothing, and says so.
	Fail How = iota
	// Lost does it, and says that it has failed.
	Lost
	// Hang waits until the context ends.
	Hang
	// Cut breaks the body at Fault.At: of a Get with an error, of a Put so that nothing is kept.
	Cut
	// Short ends the body at Fault.At as if that were its end.
	Short
	// Long goes on after the end of the body of a Get.
	Long
	// Zero makes zeros of what follows Fault.At.
	Zero
	// Flip turns one bit at Fault.At.
	Flip
	// Missing says that the file is not there, and lists it not.
	Missing
	// Extra lists a file that is not there.
	Extra
)

// Hows are all of them.
func Hows() []How { return []How{Fail, Lost, Hang, Cut, Short, Long, Zero, Flip, Missing, Extra} }

func (h How) String() string {
	return []string{"fail", "lost", "hang", "cut", "short", "long", "zero", "flip", "missing", "extra"}[h]
}

// Fault is one thing to go wrong.
type Fault struct {
	How How
	// Op is that of remote.Error; "" is any.
	Op string
	// Name is the beginning of the names that it is about.
	Name string
	// Nth is which of these operations, from 1; 0 is the first.
	Nth int
	// Forever says that all after it fail as well.
	Forever bool
	// At is a byte of the body.
	At int64
	// Err is what is said: the Kind of an Error, or a whole one; nil is remote.ErrTemporary.
	Err error

	seen int
}

// Faulty is a remote on which what Set was told goes wrong.
type Faulty struct {
	r remote.Remote
	// Before, where it is not nil, is called with each operation before it begins.
	Before func(op, name string)

	mu     sync.Mutex
	faults []*Fault
	counts map[string]int
	struck int
}

// NewFaulty returns r, on which nothing goes wrong yet.
func NewFaulty(r remote.Remote) *Faulty { return &Faulty{r: r, counts: map[string]int{}} }

// Set replaces what goes wrong, and counts from here on.
func (f *Faulty) Set(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.struck = nil, 0
	f.counts = map[string]int{}
	for _, one := range faults {
		f.faults = append(f.faults, &one)
	}
}

// Count returns how many operations of a kind there were since Set; "" is all.
func (f *Faulty) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// Struck returns how many operations have gone wrong since Set.
func (f *Faulty) Struck() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck
}

// begin counts an operation and returns what goes wrong with it, or nil.
func (f *Faulty) begin(op, name string) *Fault {
	if f.Before != nil {
		f.Before(op, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	f.counts[""]++
	var struck *Fault
	for _, one := range f.faults {
		if one.Op != "" && one.Op != op || !strings.HasPrefix(name, one.Name) {
			continue
		}
		one.seen++
		if nth := max(one.Nth, 1); one.seen == nth || one.Forever && one.seen > nth {
			struck = one
		}
	}
	if struck != nil {
		f.struck++
	}
	return struck
}

func (o *Fault) fail(op, name string) error {
	e := remote.Error{Kind: o.Err, Err: fmt.Errorf("fault %s", o.How)}
	if whole := new(remote.Error); errors.As(o.Err, &whole) {
		e = *whole
	}
	if e.Kind == nil {
		e.Kind = remote.ErrTemporary
	}
	e.Op, e.Remote, e.Name = op, "faulty://", name
	return &e
}

func missing(op, name string) error {
	return &remote.Error{Op: op, Remote: "faulty://", Name: name, Kind: fs.ErrNotExist}
}

func hang(ctx context.Context, op, name string) error {
	<-ctx.Done()
	return &remote.Error{Op: op, Remote: "faulty://", Name: name, Err: ctx.Err()}
}

// Put implements remote.Remote.
func (f *Faulty) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	one := f.begin("put", name)
	if one == nil {
		return f.r.Put(ctx, name, body, size)
	}
	switch one.How {
	case Hang:
		return hang(ctx, "put", name)
	case Lost:
		if err := f.r.Put(ctx, name, body, size); err != nil {
			return err
		}
	case Cut:
		_, _ = io.Copy(io.Discard, io.NewSectionReader(body, 0, min(one.At, size)))
	case Short, Zero, Flip:
		b, err := io.ReadAll(io.NewSectionReader(body, 0, size))
		if err != nil {
			return err
		}
		b = one.spoil(b)
		return f.r.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
	}
	return one.fail("put", name)
}

// spoil makes another content, of which the remote knows nothing.
func (o *Fault) spoil(b []byte) []byte {
	at := min(o.At, int64(len(b)))
	b = slices.Clone(b)
	switch o.How {
	case Short:
		return b[:at]
	case Zero:
		clear(b[at:])
	case Flip:
		if at < int64(len(b)) {
			b[at] ^= 1 << (at % 8)
		}
	}
	return b
}

// Get implements remote.Remote.
func (f *Faulty) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	one := f.begin("get", name)
	if one == nil {
		return f.r.Get(ctx, name, offset, length)
	}
	switch one.How {
	case Missing:
		return nil, missing("get", name)
	case Hang:
		return nil, hang(ctx, "get", name)
	case Fail, Lost, Extra:
		return nil, one.fail("get", name)
	}
	body, err := f.r.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(one.reader(name, b)), nil
}

// reader gives b as it comes out of the fault.
func (o *Fault) reader(name string, b []byte) io.Reader {
	switch o.How {
	case Cut:
		return io.MultiReader(bytes.NewReader(b[:min(o.At, int64(len(b)))]), failingReader{o.fail("get", name)})
	case Long:
		return io.MultiReader(bytes.NewReader(b), strings.NewReader("and more"))
	}
	return bytes.NewReader(o.spoil(b))
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// Stat implements remote.Remote.
func (f *Faulty) Stat(ctx context.Context, name string) (int64, error) {
	one := f.begin("stat", name)
	if one == nil {
		return f.r.Stat(ctx, name)
	}
	switch one.How {
	case Missing:
		return 0, missing("stat", name)
	case Hang:
		return 0, hang(ctx, "stat", name)
	case Short:
		return one.At, nil
	case Long:
		size, err := f.r.Stat(ctx, name)
		return size + 8, err
	}
	return 0, one.fail("stat", name)
}

// List implements remote.Remote.
func (f *Faulty) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	one := f.begin("list", prefix)
	if one == nil {
		return f.r.List(ctx, prefix, each)
	}
	n := int64(0)
	err := error(nil)
	switch one.How {
	case Hang:
		return hang(ctx, "list", prefix)
	case Missing: // the file at At
		return f.r.List(ctx, prefix, func(i remote.Info) error {
			if n++; n == one.At+1 {
				return nil
			}
			return each(i)
		})
	case Extra:
		if err := f.r.List(ctx, prefix, each); err != nil {
			return err
		}
		return each(remote.Info{Name: prefix + strings.Repeat("0", 64), Size: 1000})
	case Cut, Lost: // after At files, or all of them
		err = f.r.List(ctx, prefix, func(i remote.Info) error {
			if n++; n > one.At && one.How == Cut {
				return one.fail("list", prefix)
			}
			return each(i)
		})
	}
	if err != nil {
		return err
	}
	return one.fail("list", prefix)
}

// Delete implements remote.Remote.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	one := f.begin("delete", name)
	if one == nil {
		return f.r.Delete(ctx, name)
	}
	switch one.How {
	case Hang:
		return hang(ctx, "delete", name)
	case Lost:
		if err := f.r.Delete(ctx, name); err != nil {
			return err
		}
	}
	return one.fail("delete", name)
}

// Close implements remote.Remote.
func (f *Faulty) Close() error { return f.r.Close() }
