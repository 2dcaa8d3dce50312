package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// firstPause is Limits.Pause where that is 0. Pauses grow until they are lastPause times it.
	firstPause = 500 * time.Millisecond
	lastPause  = 20
	// enough is how much has to move for an operation to be as good as new.
	enough = 64 << 10
)

// patience decides whether one operation is tried again, and when.
type patience struct {
	s *steady
	// tries have failed since something was achieved, retries have been begun in all.
	tries int
	// alive is when the last byte moved, or when it began.
	alive time.Time
}

func (s *steady) newPatience() *patience { return &patience{s: s, alive: time.Now()} }

// moved takes over from a try when its last byte moved.
func (p *patience) moved(w *watch) {
	if last := w.lastMove(); last.After(p.alive) {
		p.alive = last
	}
}

// achieved forgets the failures: what has moved will not have to move again.
func (p *patience) achieved() { p.tries = 0 }

// wait returns when it is time for the next try after err, or the error with which
// the operation has failed.
func (p *patience) wait(ctx context.Context, err error) error {
	p.tries++
	if ctx.Err() != nil {
		return canceled(ctx, err)
	}
	if f := new(final); errors.As(err, &f) {
		return f.outcome()
	}
	if !again(err) {
		return err
	}
	pause := p.pause(err)
	until := time.Now().Add(pause)
	if p.tries >= p.s.limits.Tries || until.After(p.alive.Add(p.s.limits.Patience)) {
		return p.giveUp(err)
	}
	if told := p.s.limits.Retrying; told != nil {
		told(err, pause)
	}
	if err := sleep(ctx, pause); err != nil {
		return canceled(ctx, err)
	}
	p.s.stats.Retries.Add(1)
	return nil
}

// again reports whether another try may go better. What was short or altered on the way
// is right the next time, if the way was to blame.
func again(err error) bool {
	return Temporary(err) || errors.Is(err, ErrShort) || errors.Is(err, ErrAltered)
}

// pause is as long as the remote asks for, or else longer with each failure.
func (p *patience) pause(err error) time.Duration {
	first := p.s.limits.Pause
	pause := min(first<<min(p.tries-1, 10), lastPause*first)
	pause = pause/2 + rand.N(pause/2+1)
	if e := new(Error); errors.As(err, &e) && e.After > 0 {
		pause = max(pause, e.After+rand.N(first))
		if e.After < p.s.limits.Patience {
			p.s.calmDown(e.After)
		}
	}
	return max(pause, time.Until(time.Unix(0, p.s.calm.Load())))
}

// calmDown makes all operations wait for what one was told: the remote has counted them
// together.
func (s *steady) calmDown(d time.Duration) {
	until := time.Now().Add(d).UnixNano()
	for old := s.calm.Load(); until > old && !s.calm.CompareAndSwap(old, until); old = s.calm.Load() {
	}
}

// giveUp adds to the error of the last try that there were others.
func (p *patience) giveUp(err error) error {
	if e := new(Error); errors.As(err, &e) && p.tries > 1 {
		last := *e
		last.Err = fmt.Errorf("tried %d times", p.tries)
		if e.Err != nil {
			last.Err = fmt.Errorf("%w (tried %d times)", e.Err, p.tries)
		}
		return &last
	}
	return err
}

// canceled is err as what happens when the caller's context ends.
func canceled(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) && !errors.Is(err, ErrTemporary) {
		return err
	}
	e := new(Error)
	if !errors.As(err, &e) {
		return fmt.Errorf("%w: %s", ctx.Err(), err.Error()) // what the ending has caused is no reason of its own
	}
	last := *e
	last.Kind, last.Err = nil, ctx.Err()
	return &last
}

// final is the error of a try that failed by the caller's own code, local: no other try
// makes it better.
type final struct{ err, local error }

func (f *final) Error() string { return f.outcome().Error() }

func (f *final) Unwrap() error { return f.outcome() }

// outcome is err with local in it.
func (f *final) outcome() error {
	e := new(Error)
	if errors.Is(f.err, f.local) {
		return f.err
	}
	if !errors.As(f.err, &e) {
		return f.local
	}
	last := *e
	last.Kind, last.Err = nil, f.local
	return &last
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
