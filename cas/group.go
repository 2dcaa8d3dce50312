package cas

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/internal/reuse"
)

const (
	// textGroup is the plain size at which a group of text is full. It is what the
	// encoder can learn from, and what has to be read and decoded for one byte of it.
	textGroup = 512 << 10
	// arrayGroup is that of everything else, from which there is little to learn:
	// what is at work on a group stays in a processor's own cache.
	arrayGroup = 256 << 10
	// groupMost is the most that a group can have.
	groupMost = textGroup + chunk.Max
)

// fullSize is the plain size at which a group of a class is full.
func fullSize(class codec.Class) int {
	if class == codec.Text {
		return textGroup
	}
	return arrayGroup
}

// group is runs of one class that will be encoded together.
type group struct {
	class   codec.Class
	bytes   []byte
	ends    []int // of the runs in bytes
	entries []pack.Entry
}

var groups = reuse.Stack[*group]{New: func() *group { return &group{bytes: make([]byte, 0, groupMost)} }}

// workers is how many groups are encoded or decoded at once.
var workers = min(runtime.GOMAXPROCS(0), 16)

// gathering is the groups that are open, one for each class.
type gathering struct {
	mu   sync.Mutex
	open [codec.Classes]*group
}

// add copies a run with its entries, whose At is in the run, into the open
// group of its class, and returns a group if one became full.
func (o *gathering) add(class codec.Class, run []byte, entries []pack.Entry) (full *group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.open[class]
	if g != nil && len(g.bytes)+len(run) > groupMost {
		full, g = g, nil
	}
	if g == nil {
		g = groups.Get()
		g.class = class
		o.open[class] = g
	}
	at := uint32(len(g.bytes))
	g.bytes = append(g.bytes, run...)
	g.ends = append(g.ends, len(g.bytes))
	for _, e := range entries {
		e.At += at
		g.entries = append(g.entries, e)
	}
	if full == nil && len(g.bytes) >= fullSize(class) {
		full, o.open[class] = g, nil
	}
	return full
}

// rest returns the groups that are open, and forgets them.
func (o *gathering) rest() []*group {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rest []*group
	for class, g := range o.open {
		if g != nil {
			rest = append(rest, g)
			o.open[class] = nil
		}
	}
	return rest
}

// appender takes a group as it is to be stored.
type appender func(method codec.Method, plain int, stored []byte, entries []pack.Entry) error

// encode hands an encoded group on and lets go of it.
func (g *group) encode(to appender) error {
	err := encode(g.class, g.bytes, g.ends, g.entries, to)
	g.bytes, g.ends, g.entries = g.bytes[:0], g.ends[:0], g.entries[:0]
	groups.Put(g)
	return err
}

var encoders = reuse.Stack[*codec.Encoder]{New: codec.NewEncoder}

// encode hands plain, which is runs of a class that have these ends, on as one group.
func encode(class codec.Class, plain []byte, ends []int, entries []pack.Entry, to appender) error {
	e := encoders.Get()
	defer encoders.Put(e)
	method, stored, err := e.Encode(class, plain, ends)
	if err != nil {
		return err
	}
	return to(method, len(plain), stored, entries)
}

// keep adds entries of a group whose plain bytes are given, and hands on the groups that become full.
func (o *gathering) keep(entries []pack.Entry, plain []byte, to appender) error {
	for _, e := range entries {
		content := plain[e.At : e.At+e.Len]
		e.At = 0
		if full := o.add(codec.Probe(content), content, []pack.Entry{e}); full != nil {
			if err := full.encode(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// encodeGroup appends a full group to the open pack.
func (b *batch) encodeGroup(g *group) error { return g.encode(b.shelf.append) }

// encode appends one run to the open pack as a group.
func (b *batch) encode(class codec.Class, run []byte, entries []pack.Entry) error {
	return encode(class, run, []int{len(run)}, entries, b.shelf.append)
}

// decodeGroup fills plain from the stored bytes of a group. What does not decode
// is damage, but for what a newer version of this program has encoded.
func decodeGroup(g pack.Group, stored, plain []byte) error {
	err := codec.Decode(codec.Method(g.Method), stored, plain)
	if err != nil && !errors.Is(err, codec.ErrMethod) {
		return &damageError{err}
	}
	return err
}

// readEntries reads a group, compares the entries with their keys, and calls use, if it is not
// nil, with what it read, which is good until use returns.
func readEntries(p *pack.Pack, n uint32, entries []pack.Entry, use func(g pack.Group, stored, plain []byte) error) error {
	stored := storedBuffers.get()
	g, stored, err := p.ReadGroup(n, stored)
	defer func() { storedBuffers.put(stored) }()
	if err != nil {
		return err
	}
	plain := plainOf(plainBuffers.get(), g)
	defer plainBuffers.put(plain)
	if err := decodeGroup(g, stored, plain); err != nil {
		return fmt.Errorf("group %d: %w", n, err)
	}
	for _, e := range entries {
		if !isWhole(e, plain, true) {
			return &damageError{fmt.Errorf("pack %.10s: group %d: what is stored as %s is something else", p.Name(), n, Digest(e.Key))}
		}
	}
	if use == nil {
		return nil
	}
	return use(g, stored, plain)
}

// bufferSize is what nearly every group of arrays has room in. One of text gets a larger one.
const bufferSize = arrayGroup + chunk.Max/2

// plainOf returns room for the plain bytes of a group: buf, if it is large enough.
func plainOf(buf []byte, g pack.Group) []byte {
	if cap(buf) < int(g.Plain) {
		buf = make([]byte, max(int(g.Plain), bufferSize))
	}
	return buf[:g.Plain]
}
