package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// Bounds of what Curves reads, in bytes: some million points of a metric, and
// of all together what fits into memory.
const (
	maxSeries = 32 << 20
	maxCurves = 128 << 20
)

// Curve is a metric by step on both sides of a comparison.
type Curve struct {
	Stage, Key string
	// Old and New are nil where the side has no history, or it can't be read.
	Old, New []lockfile.Point
	// Err says why a history that a lock names was not read, such as a
	// *cas.MissingError; nil when all was.
	Err error
}

// Curves reads the metrics that have a history in either lock, in the order of
// stages and keys. A history that can't be read leaves its side empty and is
// said in the curve; only the end of ctx is an error.
func (p *Project) Curves(ctx context.Context, old, new *lockfile.Lock) ([]Curve, error) {
	r := seriesReader{repository: p.Repository, left: maxCurves}
	var curves []Curve
	for _, stage := range union(old.Stages, new.Stages) {
		a, b := historyOf(old, stage), historyOf(new, stage)
		for _, key := range union(a, b) {
			c := r.curve(ctx, stage, key, a[key], b[key])
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			curves = append(curves, c)
		}
	}
	return curves, nil
}

// union returns the keys of both maps in order.
func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func historyOf(lock *lockfile.Lock, stage string) map[string]cas.Digest {
	if s := lock.Stages[stage]; s != nil {
		return s.History
	}
	return nil
}

// seriesReader reads series until they are too many for memory.
type seriesReader struct {
	repository *Repository
	left       int64
}

func (r *seriesReader) curve(ctx context.Context, stage, key string, old, new cas.Digest) Curve {
	c := Curve{Stage: stage, Key: key}
	name := metrics.Name(stage, key)
	var err error
	if c.Old, err = r.read(ctx, old); err != nil {
		c.Err = fmt.Errorf("old history of %s: %w", name, err)
	}
	if old == new {
		c.New = c.Old
		return c
	}
	if c.New, err = r.read(ctx, new); err != nil {
		c.Err = errors.Join(c.Err, fmt.Errorf("new history of %s: %w", name, err))
	}
	return c
}

func (r *seriesReader) read(ctx context.Context, d cas.Digest) ([]lockfile.Point, error) {
	if d.IsZero() {
		return nil, nil
	}
	data, err := cas.ReadAll(ctx, r.repository.Store, d, min(maxSeries, r.left))
	if err != nil {
		return nil, err
	}
	r.left -= int64(len(data))
	points, err := lockfile.ParseSeries(data)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", d.Short(), err)
	}
	return points, nil
}
