package cas

import (
	"errors"
	"runtime"
	"sync"

	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
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

var groups = sync.Pool{New: func() any { return &group{bytes: make([]byte, 0, groupMost)} }}

// workers is how many groups are encoded or decoded at once.
func workers() int { return min(runtime.GOMAXPROCS(0), 16) }

// gather copies a run with its entries, whose At is in the run, into the open
// group of its class, and returns a group if one became full.
func (b *batch) gather(class codec.Class, run []byte, entries []pack.Entry) (full *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.groups[class]
	if g != nil && len(g.bytes)+len(run) > groupMost {
		full, g = g, nil
	}
	if g == nil {
		g = groups.Get().(*group)
		g.class = class
		b.groups[class] = g
	}
	at := uint32(len(g.bytes))
	g.bytes = append(g.bytes, run...)
	g.ends = append(g.ends, len(g.bytes))
	for _, e := range entries {
		e.At += at
		g.entries = append(g.entries, e)
	}
	if full == nil && len(g.bytes) >= fullSize(class) {
		full, b.groups[class] = g, nil
	}
	return full
}

// encodeGroup appends a full group to the open pack.
func (b *batch) encodeGroup(g *group) error {
	runs := make([][]byte, len(g.ends))
	start := 0
	for i, end := range g.ends {
		runs[i] = g.bytes[start:end]
		start = end
	}
	err := b.encode(g.class, runs, g.entries)
	g.bytes, g.ends, g.entries = g.bytes[:0], g.ends[:0], g.entries[:0]
	groups.Put(g)
	return err
}

var encoders = sync.Pool{New: func() any { return codec.NewEncoder() }}

// encode appends runs of a class to the open pack as one group.
func (b *batch) encode(class codec.Class, runs [][]byte, entries []pack.Entry) error {
	e := encoders.Get().(*codec.Encoder)
	defer encoders.Put(e)
	method, stored, err := e.Encode(class, runs)
	if err != nil {
		return err
	}
	plain := 0
	for _, run := range runs {
		plain += len(run)
	}
	return b.shelf.append(method, plain, stored, entries)
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
