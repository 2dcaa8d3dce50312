package remote

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// watch ends a try in which nothing moves.
type watch struct {
	url    string
	stall  time.Duration
	timer  *time.Timer
	trial  context.Context
	cancel context.CancelCauseFunc
	last   atomic.Int64 // when a byte moved, Unix nanoseconds; 0 is never
}

var errStalled = errors.New("nothing moved")

// watch returns the context of one try, which ends when nothing moves.
func (s *steady) watch(ctx context.Context) (context.Context, *watch) {
	w := &watch{url: s.limits.URL, stall: s.limits.Stall}
	w.trial, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.stall, func() { w.cancel(errStalled) })
	return w.trial, w
}

// touch says that a byte has moved, and that the next sign of life may take a moment
// and extra.
func (w *watch) touch(extra time.Duration) {
	w.last.Store(time.Now().UnixNano())
	w.timer.Reset(w.stall + extra)
}

// pause stops the clock while it is not the remote that is waited for.
func (w *watch) pause() { w.timer.Stop() }

func (w *watch) resume() { w.timer.Reset(w.stall) }

// end lets go of the context.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// lastMove returns when a byte moved; the zero time is never.
func (w *watch) lastMove() time.Time {
	if last := w.last.Load(); last != 0 {
		return time.Unix(0, last)
	}
	return time.Time{}
}

// reason is err, or that nothing moved where that is what has ended the try and not
// the caller.
func (w *watch) reason(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || !errors.Is(context.Cause(w.trial), errStalled) {
		return err
	}
	stalled := fmt.Errorf("%w for %s", errStalled, w.stall)
	e := new(Error)
	if !errors.As(err, &e) {
		return &Error{Op: "get", Remote: w.url, Kind: ErrTemporary, Err: stalled}
	}
	last := *e
	last.Kind, last.Err = ErrTemporary, stalled
	return &last
}
