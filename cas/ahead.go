package cas

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/pack"
)

// step is chunks that follow each other in a content and lie in one group.
type step struct {
	group  *decoded
	chunks []pack.Entry
	err    error // instead of a group: the content ends here
}

// decoded is a group that is being decoded, used by one or more steps.
type decoded struct {
	name  groupName
	ready chan struct{}
	plain []byte
	err   error
	users atomic.Int32
	freed func()
}

func (g *decoded) release() {
	if g.users.Add(-1) == 0 {
		<-g.ready
		g.freed()
	}
}

// planner finds the chunks of a content and has their groups decoded.
type planner struct {
	l     *Local
	ctx   context.Context
	steps chan<- *step
	slots chan struct{} // one for each group that is decoded and not used up
	next  *step
	// recent are groups that later chunks may lie in too, as those of a second
	// version do that lie around a change.
	recent []*decoded
}

const recentGroups = 2

func (p *planner) plan(each func(ctx context.Context, fn func(part) error) error) error {
	defer func() {
		for _, g := range p.recent {
			g.release()
		}
	}()
	err := each(p.ctx, func(c part) error {
		loc, err := p.l.find(c.key)
		if err != nil {
			return err
		}
		if int64(loc.Len) != c.size || loc.Kind != pack.Blob {
			return &CorruptError{Digest: c.key, Err: fmt.Errorf("it has %d bytes, want %d", loc.Len, c.size)}
		}
		return p.add(loc)
	})
	if err == nil && p.next != nil {
		p.send(p.next)
	}
	return err
}

// add appends a chunk to the step at hand or begins another.
func (p *planner) add(loc pack.Location) error {
	name := groupName{loc.Pack, loc.Group}
	if p.next != nil && p.next.group.name == name {
		p.next.chunks = append(p.next.chunks, loc.Entry)
		return nil
	}
	if p.next != nil && !p.send(p.next) {
		return p.ctx.Err()
	}
	p.next = nil
	g, err := p.group(name)
	if err != nil {
		return err
	}
	g.users.Add(1)
	p.next = &step{group: g, chunks: []pack.Entry{loc.Entry}}
	return nil
}

// send hands a step to the reader, unless that has gone.
func (p *planner) send(s *step) bool {
	select {
	case p.steps <- s:
		return true
	case <-p.ctx.Done():
		if s.group != nil {
			s.group.release()
		}
		return false
	}
}

// group returns a group that is being decoded, or begins to.
func (p *planner) group(name groupName) (*decoded, error) {
	for _, g := range p.recent {
		if g.name == name {
			return g, nil
		}
	}
	if len(p.recent) == recentGroups {
		p.recent[0].release()
		p.recent = p.recent[1:]
	}
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
	buf := plainBuffers.get()
	g := &decoded{name: name, ready: make(chan struct{})}
	g.freed = func() {
		plainBuffers.put(buf)
		<-p.slots
	}
	g.users.Add(1) // recent's
	p.recent = append(p.recent, g)
	go func() {
		defer close(g.ready)
		if g.plain, g.err = p.l.decodeInto(buf, name.pack, name.group); g.plain != nil {
			buf = g.plain
		}
	}()
	return g, nil
}

// decodeInto is decode with a buffer of the caller's, used if it is large enough.
func (l *Local) decodeInto(buf []byte, name pack.Name, n uint32) ([]byte, error) {
	p, err := l.set.Open(name)
	if err != nil {
		return nil, err
	}
	stored := storedBuffers.get()
	g, b, err := p.ReadGroup(n, stored)
	if err != nil {
		storedBuffers.put(stored)
		return nil, err
	}
	defer storedBuffers.put(b)
	plain := plainOf(buf, g)
	if err := decodeGroup(g, b, plain); err != nil {
		return nil, err
	}
	return plain, nil
}
