package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/kept-dev/kept/cas/disk"
)

// Use keeps the store from losing objects until release is called: a
// collection removes nothing meanwhile. Whoever asks what is there and then
// writes a lock that names it has to do both under one Use. Many processes can
// use a store at once. The lock is the kernel's, so it is gone with the process.
func (l *Local) Use(ctx context.Context) (release func(), err error) {
	release, err = l.use(ctx)
	if err != nil {
		return nil, fmt.Errorf("use store: %w", err)
	}
	return release, nil
}

func (l *Local) use(ctx context.Context) (release func(), err error) {
	return l.hold(ctx, (*flock.Flock).TryRLock)
}

// hold takes the store's lock in the way of try, as soon as it can be had.
func (l *Local) hold(ctx context.Context, try func(*flock.Flock) (bool, error)) (release func(), err error) {
	if err := disk.MakeDir(l.disk, l.dir, l.dir); err != nil && !IsReadOnly(err) {
		return nil, err
	}
	lock := flock.New(filepath.Join(l.dir, "lock"), flock.SetPermissions(0o600))
	for {
		ok, err := try(lock)
		switch {
		case IsReadOnly(err), errors.Is(err, fs.ErrNotExist):
			return func() {}, nil // nobody removes anything from what is read-only
		case err != nil:
			return nil, err
		case ok:
			if disk.Shared(l.dir) {
				disk.ShareFile(lock.Path())
			}
			return func() { _ = lock.Unlock() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// lockPoll is the time between two looks at a lock that is taken.
const lockPoll = 5 * time.Millisecond

func isGone(err error) bool { return errors.Is(err, os.ErrNotExist) }
