package core

import (
	"context"

	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/lockfile"
)

// Blame finds the versions that set the metrics of the lock on disk, or those of
// them that the words mean.
func (p *Project) Blame(ctx context.Context, words []string) ([]history.Blamed, *history.History, error) {
	h, err := p.History(ctx, HistoryOptions{WorkingTree: true})
	if err != nil {
		return nil, nil, err
	}
	if len(h.Versions) == 0 {
		h.Versions = []*history.Version{{Lock: lockfile.New()}}
	}
	now := h.Versions[0]
	if now.Err != nil {
		return nil, nil, &FileError{Path: p.LockPath(), Rev: revOf(now), Err: now.Err}
	}
	all := history.MetricsOf(now.Lock)
	if len(words) > 0 {
		if all, err = history.FindAll(all, words); err != nil {
			return nil, nil, err
		}
	}
	return now.Blame(all), h, nil
}

func revOf(v *history.Version) string {
	if v.Uncommitted() {
		return ""
	}
	return v.Commit.ID[:10]
}
