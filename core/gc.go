package core

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
)

// Grace is the age up to which a collection leaves alone what nothing names.
const Grace = 14 * 24 * time.Hour

// GCOptions says what GC may remove.
type GCOptions struct {
	// Grace is the age up to which nothing is removed.
	Grace time.Duration
	// DryRun finds out what would be removed and changes nothing.
	DryRun   bool
	Progress workspace.Progress
}

// GC is what a collection did, or would have done.
type GC struct {
	*cas.Collected
	// Clones are all that use the store, this one first. Those that are gone had
	// no say.
	Clones []Clone
	// Waiting is set where one of them has not been gone for as long as the grace:
	// it may only have been moved. Nothing is removed before that is over, and then
	// the store forgets it.
	Waiting bool
}

// never is a grace that nothing outlives.
const never = 1 << 62

// StoreBusyError reports that nothing could be removed, because the store was in use all the time.
type StoreBusyError struct {
	// Holders say what other processes do, as far as they have noted it.
	Holders []string
}

func (e *StoreBusyError) Error() string {
	text := "the store is in use"
	for i, h := range e.Holders {
		if i == 0 {
			text += " by " + h
			continue
		}
		text += ", " + h
	}
	return text + ": nothing was removed"
}

// Unwrap returns cas.ErrInUse.
func (e *StoreBusyError) Unwrap() error { return cas.ErrInUse }

// GC removes from the store what no clone that uses it has need of and what is
// older than the grace. What a clone needs is all that anything in it leads to:
// see rooter. If that can't be told in whole, nothing is removed.
func (r *Repository) GC(ctx context.Context, o GCOptions) (*GC, error) {
	if r.unshared != nil {
		return nil, r.unshared
	}
	result := &GC{}
	var err error
	if result.Clones, err = r.clones(); err != nil {
		return nil, err
	}
	live := func(ctx context.Context, each func(cas.Digest) error) error {
		// Anew each time: another clone may have come to the store.
		clones, err := r.clones()
		if err != nil {
			return err
		}
		return r.roots(ctx, clones, each)
	}
	if !o.DryRun {
		if err := r.bringOver(ctx); err != nil {
			return nil, r.inUse(result.Clones, err)
		}
	}
	for i := range result.Clones {
		c := &result.Clones[i]
		if !o.DryRun {
			if err := c.markGone(); err != nil {
				return nil, err
			}
		}
		result.Waiting = result.Waiting || c.Gone && o.Grace > 0 && (c.Since.IsZero() || time.Since(c.Since) < o.Grace)
	}
	if result.Waiting {
		o.Grace = never
	}
	opts := cas.CollectOptions{Live: live, Grace: o.Grace, DryRun: o.DryRun}
	if o.Progress != nil {
		opts.Progress = o.Progress.Add
	}
	result.Collected, err = r.objects.Collect(ctx, opts)
	if err != nil {
		return nil, r.inUse(result.Clones, err)
	}
	if o.DryRun {
		return result, nil
	}
	r.sweep()
	for _, c := range result.Clones {
		if c.Gone && c.Note != "" && !result.Waiting {
			c.forget()
		}
	}
	return result, nil
}

// bringOver moves what is left in the clone's own store to the one that it shares.
func (r *Repository) bringOver(ctx context.Context) error {
	if r.Local.Store() == r.Local.OwnStore() {
		return nil
	}
	own, err := cas.OpenLocal(r.Local.OwnStore())
	if err != nil {
		return err
	}
	return own.MoveTo(ctx, r.objects)
}

// inUse says who uses the store where that is what is wrong.
func (r *Repository) inUse(clones []Clone, err error) error {
	if !errors.Is(err, cas.ErrInUse) {
		return err
	}
	busy := &StoreBusyError{}
	for _, c := range clones {
		files, _ := filepath.Glob(filepath.Join(c.Dir, localName, "state", "*.lock"))
		for _, file := range files {
			if holder, err := os.ReadFile(file); err == nil && len(holder) > 0 {
				busy.Holders = append(busy.Holders, string(holder))
			}
		}
	}
	slices.Sort(busy.Holders)
	return busy
}
