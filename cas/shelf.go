package cas

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

const (
	// packSize is the size at which a pack is full: what a collection rewrites,
	// and what a killed writer loses of its work.
	packSize = 64 << 20
	// sealing is how many full packs wait for the disk before writing does.
	sealing = 2
)

// shelf writes groups into packs, and publishes every pack that is full.
type shelf struct {
	l *Local
	// soon says that what is put will be read at once: it is left in the page cache.
	soon  bool
	seals chan struct{}
	work  sync.WaitGroup

	mu   sync.Mutex
	open *openPack
	// published are the packs that were, or were there already. naming guards it.
	published []pack.Name
	naming    sync.Mutex

	failed atomic.Pointer[error] // the first pack that could not be published
}

type openPack struct {
	*pack.Writer
	temp disk.Temp
	// appends are at work on it
	appends sync.WaitGroup
}

func newShelf(l *Local) *shelf { return &shelf{l: l, seals: make(chan struct{}, sealing)} }

// append writes a group to the open pack. It may be called by many at once.
func (s *shelf) append(method codec.Method, plain int, stored []byte, entries []pack.Entry) error {
	p, err := s.take(int64(len(stored)))
	if err != nil {
		return err
	}
	defer p.appends.Done()
	return p.Append(uint8(method), plain, stored, entries)
}

// take returns the pack that n more bytes go to.
func (s *shelf) take(n int64) (*openPack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failure(); err != nil {
		return nil, err
	}
	if s.open != nil && s.open.Size()+n > s.l.packSize {
		full := s.open
		s.open = nil
		s.seals <- struct{}{} // holds up all others, too: the disk is what they wait for
		s.work.Go(func() {
			defer func() { <-s.seals }()
			if err := s.publish(full); err != nil {
				s.failed.CompareAndSwap(nil, &err)
			}
		})
	}
	if s.open == nil {
		temp, err := s.l.temp()
		if err != nil {
			return nil, err
		}
		if !s.soon {
			temp = disk.NewBulk(temp)
		}
		w, err := pack.NewWriter(temp)
		if err != nil {
			temp.Discard()
			return nil, err
		}
		s.open = &openPack{Writer: w, temp: temp}
	}
	s.open.appends.Add(1)
	return s.open, nil
}

func (s *shelf) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// publish makes a full pack durable and gives it its name. The order is the
// protocol: nothing has a name before it was synced, and nobody is told before
// the name is synced as well, which Commit does for all.
func (s *shelf) publish(p *openPack) error {
	defer p.temp.Discard()
	p.appends.Wait()
	name, err := p.Finish()
	if err != nil {
		return err
	}
	if err := p.temp.Sync(); err != nil {
		return err
	}
	if err := s.l.set.Publish(p.Writer, p.temp, name); err != nil {
		return err
	}
	s.note(name)
	return nil
}

// note remembers a pack that was published. It must not wait for mu, which is
// held while a full pack waits for one that is being published.
func (s *shelf) note(name pack.Name) {
	s.naming.Lock()
	defer s.naming.Unlock()
	s.published = append(s.published, name)
}

// close publishes what is left, after everything else is published.
func (s *shelf) close(ctx context.Context) error {
	s.work.Wait()
	s.mu.Lock()
	last := s.open
	s.open = nil
	s.mu.Unlock()
	err := s.failure()
	if last == nil {
		return err
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && len(s.published) > 0 {
		// The last pack has the manifests: after a power cut its name must not be
		// there without those of the packs with the chunks.
		err = s.l.set.Sync()
	}
	if err != nil {
		last.temp.Discard()
		return err
	}
	return s.publish(last)
}

// discard lets go of what was not published.
func (s *shelf) discard() {
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		s.open.temp.Discard()
		s.open = nil
	}
}
