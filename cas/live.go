package cas

import (
	"context"
	"errors"

	"github.com/kept-dev/kept/cas/pack"
)

// Objects calls each for objects, in any order, also several times for one, and
// returns the first error: its own, or that of each. What is not in the store
// may be among them.
type Objects func(ctx context.Context, each func(Digest) error) error

// liveKeys returns the keys of all that the roots need: theirs, and those of the
// chunks and inner nodes of contents that were cut. A manifest that can't be read
// is an error, for what it lists can't be told.
func (l *Local) liveKeys(ctx context.Context, roots Objects) (*keySet, error) {
	live := &keySet{}
	expanded := map[Digest]bool{}
	err := roots(ctx, func(d Digest) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		live.add(d)
		at, found, err := l.set.Find(d)
		if err != nil || !found || at.Kind != pack.Manifest || expanded[d] {
			return err
		}
		expanded[d] = true
		return l.eachKey(ctx, at, func(p part) error {
			live.add(p.key)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	live.settle()
	return live, nil
}

// eachKey calls fn for every inner node and every chunk of a content. What is
// below a node that is missing is left out: there is nothing to be kept for it.
func (l *Local) eachKey(ctx context.Context, at pack.Location, fn func(part) error) error {
	n, err := l.node(at)
	if err != nil {
		return err
	}
	return l.eachKeyBelow(ctx, n, fn)
}

func (l *Local) eachKeyBelow(ctx context.Context, n *node, fn func(part) error) error {
	for _, p := range n.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(p); err != nil || n.level == 0 {
			if err != nil {
				return err
			}
			continue
		}
		at, err := l.find(p.key)
		var missing *MissingError
		if errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return err
		}
		child, err := l.node(at)
		if err != nil {
			return err
		}
		if child.level >= n.level {
			return &CorruptError{Digest: p.key, Err: errManifest}
		}
		if err := l.eachKeyBelow(ctx, child, fn); err != nil {
			return err
		}
	}
	return nil
}
