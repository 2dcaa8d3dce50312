package workspace

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// settling is how long a look is tried again while files change under it. Another
// kept that restores, or a program that replaces a file, is done before; one that
// trains and writes is not, and nobody is to wait for it.
const settling = time.Second

// settled calls look until nothing has changed meanwhile, or for a while. Each
// attempt counts its own progress: what was read in vain counts for nothing.
func (w *Workspace) settled(ctx context.Context, look func(*Workspace) (*Object, error)) (*Object, error) {
	end := time.Now().Add(settling)
	for pause := time.Millisecond; ; pause *= 2 {
		attempt := *w
		counted := &tally{to: w.Progress}
		if w.Progress != nil {
			attempt.Progress = counted
		}
		o, err := look(&attempt)
		if !errors.Is(err, ErrChanging) || time.Now().Add(pause).After(end) {
			return o, err
		}
		w.progress(-counted.n.Load())
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// tally passes on what it counts.
type tally struct {
	to Progress
	n  atomic.Int64
}

func (t *tally) Add(n int64) {
	t.n.Add(n)
	t.to.Add(n)
}
