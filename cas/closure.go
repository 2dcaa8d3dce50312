package cas

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/cas/pack"
)

// closure is all that wanted objects need: they, the chunks and inner nodes of those
// that were cut, and the same of the files of folders, each once.
type closure struct {
	l     *Local
	needs []need
	index map[Digest]int32 // of needs
	// packs are those that have them.
	packs  []pack.Name
	number map[pack.Name]int32
	// bad are groups that were found damaged: what lies in them is not there.
	bad map[groupName]bool

	object int32   // the number of the one that is looked at, from 1 on
	uses   []int32 // what it needs
	// corrupt is what was found on the way to be damaged, or no folder.
	corrupt []error
}

// need is an entry of the store that something wanted needs.
type need struct {
	key Digest
	// pack is the number of the one that has it.
	pack, object int32
	group, len   uint32
	// on is the number of the pack on the remote that has it, or nowhere.
	on int32
	// whole says that it is needed by an object that the store has whole.
	whole bool
}

const nowhere = -1

func newClosure(l *Local, bad map[groupName]bool) *closure {
	return &closure{l: l, index: map[Digest]int32{}, number: map[pack.Name]int32{}, bad: bad}
}

// of returns the numbers of what an object needs, in the order of its content. One of which the
// store lacks something is not whole, and has none.
func (c *closure) of(ctx context.Context, w Wanted) (uses []int32, whole bool, err error) {
	c.object++
	c.uses = nil
	err = c.content(ctx, w.Digest)
	if err == nil && w.Folder {
		err = c.files(ctx, w.Digest)
	}
	var missing *MissingError
	var corrupt *CorruptError
	switch {
	case err == nil:
		for _, i := range c.uses {
			c.needs[i].whole = true
		}
		return c.uses, true, nil
	case errors.As(err, &corrupt), errors.Is(err, ErrTree):
		c.corrupt = append(c.corrupt, err)
		return nil, false, nil
	case errors.As(err, &missing):
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("object %s: %w", w.Digest, err)
}

// files adds what is in a folder.
func (c *closure) files(ctx context.Context, d Digest) error {
	b, err := ReadAll(ctx, c.l, d, maxTree)
	if err != nil {
		return err
	}
	tree, err := ParseTree(b)
	if err != nil {
		return err
	}
	for i := range tree {
		if err := c.content(ctx, tree[i].Digest); err != nil {
			return err
		}
	}
	return nil
}

// maxTree bounds the manifest of a folder: some ten million entries.
const maxTree = 1 << 30

// content adds a content, with its chunks and nodes.
func (c *closure) content(ctx context.Context, d Digest) error {
	at, fresh, err := c.add(d)
	if err != nil || !fresh || at.Kind == pack.Blob {
		return err
	}
	n, err := c.l.node(at)
	if err != nil {
		return err
	}
	if n.size != at.Size {
		return &CorruptError{Digest: d, Err: errManifest}
	}
	return c.below(ctx, n)
}

func (c *closure) below(ctx context.Context, n *node) error {
	for _, p := range n.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, fresh, err := c.add(p.key)
		if err != nil {
			return err
		}
		if !fresh || n.level == 0 {
			continue
		}
		child, err := c.l.node(at)
		if err != nil {
			return err
		}
		if child.level != n.level-1 || child.size != p.size {
			return &CorruptError{Digest: p.key, Err: errManifest}
		}
		if err := c.below(ctx, child); err != nil {
			return err
		}
	}
	return nil
}

// add notes that the object at hand needs d. It is fresh if that is news.
func (c *closure) add(d Digest) (at pack.Location, fresh bool, err error) {
	i, there := c.index[d]
	if there && c.needs[i].object == c.object {
		return at, false, nil
	}
	at, err = c.l.lookUp(d)
	if err == nil && c.bad[groupName{at.Pack, at.Group}] {
		err = &MissingError{Digest: d}
	}
	if err != nil {
		return at, false, err
	}
	if !there {
		i = int32(len(c.needs))
		c.index[d] = i
		c.needs = append(c.needs, need{key: d, pack: c.packNumber(at.Pack), group: at.Group, len: at.Len, on: nowhere})
	}
	c.needs[i].object = c.object
	c.uses = append(c.uses, i)
	return at, true, nil
}

func (c *closure) packNumber(name pack.Name) int32 {
	n, ok := c.number[name]
	if !ok {
		n = int32(len(c.packs))
		c.number[name] = n
		c.packs = append(c.packs, name)
	}
	return n
}

// lookUp is find in a store that was looked at just now.
func (l *Local) lookUp(d Digest) (pack.Location, error) {
	at, found, err := l.set.Find(d)
	if err == nil && !found {
		if err = l.set.Verify(); err == nil {
			at, found, err = l.set.Find(d)
		}
	}
	switch {
	case err != nil:
		return at, fmt.Errorf("find object %s: %w", d, err)
	case !found:
		return at, &MissingError{Digest: d}
	}
	return at, nil
}
