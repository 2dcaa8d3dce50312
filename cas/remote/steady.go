package remote

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits are how long a Steady remote hopes, and how much it takes. The zero value is
// right for people who wait in front of it.
type Limits struct {
	// URL is that of the remote, for errors that it does not make itself.
	URL string
	// Tries is how often one operation is tried before it has failed; 0 is 10, which
	// is about 45 seconds where each try fails at once.
	Tries int
	// Patience is how long an operation goes on after the last byte of a body has moved;
	// 0 is a minute. Nothing is tried after it.
	Patience time.Duration
	// Stall is how long a try waits for an answer or the next byte; 0 is 30
	// seconds. When a Put has given all of its body, the remote has a second more for
	// each 512 KiB to say that it is kept.
	Stall time.Duration
	// Pause is the one before the second try, of which at least half is waited; those after it
	// double, up to twenty times as long. 0 is half a second.
	Pause time.Duration
	// Jobs is how many operations run at once, others wait; 0 is any number. A Get runs
	// until its reader has given everything or is closed: who holds that many readers and
	// asks for something else waits for ever.
	Jobs int
	// Upload and Download are bytes of bodies per second, of all operations together; 0 is
	// as fast as it goes.
	Upload, Download int64
	// Moved is told bytes of bodies as they move, from several goroutines. What has to be
	// sent again it is told only once. nil is nobody.
	Moved func(sent, received int64)
	// Retrying is told that an operation has failed, and is tried again after a
	// while. nil is nobody.
	Retrying func(err error, after time.Duration)
	// Stats counts; nil is nobody.
	Stats *Stats
}

// Stats is what a Steady remote has done. It may be read at any time.
type Stats struct {
	// Puts to Deletes are tries. What a try costs in requests is up to the kind of remote.
	Puts, Gets, Stats, Lists, Deletes atomic.Int64
	// Retries are those of them that were not the first of their operation.
	Retries atomic.Int64
	// Sent and Received are bytes of bodies, also of what was tried again.
	Sent, Received atomic.Int64
}

// Steady returns r with patience and limits: what fails for a while only (Temporary,
// ErrShort, ErrAltered) is tried again, with growing pauses or those that the remote asks
// for; a reader that breaks goes on where it broke; what does not move is given up. An
// operation that ends with its context ends at once.
//
// A reader that went on may have the beginning of a file and the end of the one which has
// replaced it meanwhile. Nothing reads a body any more when Put has returned.
func Steady(r Remote, l Limits) Remote {
	setDefault(&l.Tries, 10)
	setDefault(&l.Pause, firstPause)
	setDefault(&l.Patience, time.Minute)
	setDefault(&l.Stall, 30*time.Second)
	s := &steady{r: r, limits: l, up: newThrottle(l.Upload), down: newThrottle(l.Download)}
	if s.stats = l.Stats; s.stats == nil {
		s.stats = new(Stats)
	}
	if l.Jobs > 0 {
		s.jobs = make(chan struct{}, l.Jobs)
	}
	return s
}

func setDefault[T int | time.Duration](to *T, value T) {
	if *to == 0 {
		*to = value
	}
}

type steady struct {
	r        Remote
	limits   Limits
	stats    *Stats
	jobs     chan struct{}
	up, down *rate.Limiter
	// calm is the time in Unix nanoseconds before which the remote wants to hear nothing.
	calm atomic.Int64
}

// Put implements Remote.
func (s *steady) Put(ctx context.Context, name string, from io.ReaderAt, size int64) error {
	told := new(atomic.Int64)
	return s.do(ctx, &s.stats.Puts, func(ctx context.Context, w *watch) error {
		b := &sending{s: s, ctx: ctx, w: w, from: from, size: size, told: told}
		err := s.r.Put(ctx, name, b, size)
		if local := b.end(); local != nil && err != nil {
			return &final{err, local}
		}
		return err
	})
}

// Stat implements Remote.
func (s *steady) Stat(ctx context.Context, name string) (size int64, err error) {
	err = s.do(ctx, &s.stats.Stats, func(ctx context.Context, _ *watch) (err error) {
		size, err = s.r.Stat(ctx, name)
		return err
	})
	return size, err
}

// List implements Remote. What was listed before a failure is not listed twice.
func (s *steady) List(ctx context.Context, prefix string, each func(Info) error) error {
	seen := map[string]struct{}{}
	return s.do(ctx, &s.stats.Lists, func(ctx context.Context, w *watch) error {
		var stopped error
		err := s.r.List(ctx, prefix, func(i Info) error {
			if _, twice := seen[i.Name]; twice {
				return nil
			}
			seen[i.Name] = struct{}{}
			w.pause()
			defer w.resume()
			stopped = each(i)
			return stopped
		})
		if stopped != nil {
			return &final{err, stopped}
		}
		return err
	})
}

// Delete implements Remote.
func (s *steady) Delete(ctx context.Context, name string) error {
	return s.do(ctx, &s.stats.Deletes, func(ctx context.Context, _ *watch) error { return s.r.Delete(ctx, name) })
}

// String returns the URL, which names the remote in errors of those who use it.
func (s *steady) String() string { return s.limits.URL }

// Close implements Remote.
func (s *steady) Close() error { return s.r.Close() }

// do tries until it works, or never will.
func (s *steady) do(ctx context.Context, count *atomic.Int64, try func(context.Context, *watch) error) error {
	release := s.acquire(ctx)
	defer release()
	p := s.newPatience()
	for {
		err := s.once(ctx, count, p, try)
		if err == nil {
			return nil
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
}

func (s *steady) once(ctx context.Context, count *atomic.Int64, p *patience, try func(context.Context, *watch) error) error {
	trial, w := s.watch(ctx)
	defer w.end()
	count.Add(1)
	err := try(trial, w)
	p.moved(w)
	return w.reason(ctx, err)
}

// acquire waits until another operation may begin. When ctx ends before, it returns, so
// that the Remote says so in its own words.
func (s *steady) acquire(ctx context.Context) (release func()) {
	release = func() {}
	if s.jobs != nil {
		select {
		case s.jobs <- struct{}{}:
			release = func() { <-s.jobs }
		case <-ctx.Done():
		}
	}
	_ = sleep(ctx, time.Until(time.Unix(0, s.calm.Load())))
	return release
}
