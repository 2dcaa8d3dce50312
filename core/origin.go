package core

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
)

// originStore is the clone's own store, filled on demand from the store of the
// repository that it was cloned from where that lies on the same machine: a
// local clone then has its artifacts at once, as it has its commits. Every byte
// is verified on its way. A clone that shares a store with others finds there as
// well what is left in its own.
type originStore struct {
	*cas.Local
	// before is the clone's own store where it has another one by now.
	before *cas.Local
	git    *git.Repo
	once   sync.Once
	origin *cas.Local
}

// Open implements cas.Store.
func (s *originStore) Open(ctx context.Context, d cas.Digest) (io.ReadCloser, error) {
	if err := s.fetch(ctx, d); err != nil {
		return nil, err
	}
	return s.Local.Open(ctx, d)
}

// Stat implements cas.Store. An object that the origin has counts as present
// because it is brought here first.
func (s *originStore) Stat(ctx context.Context, d cas.Digest) (int64, error) {
	var missing *cas.MissingError
	size, err := s.Local.Stat(ctx, d)
	if !errors.As(err, &missing) {
		return size, err
	}
	if err := s.fetch(ctx, d); err != nil {
		return 0, err
	}
	return s.Local.Stat(ctx, d)
}

// fetch brings d from the origin unless it is here. That neither has it is left
// to the caller's own look to report.
func (s *originStore) fetch(ctx context.Context, d cas.Digest) error {
	var missing *cas.MissingError
	if _, err := s.Local.Stat(ctx, d); !errors.As(err, &missing) {
		return nil
	}
	s.once.Do(func() { s.find(ctx) })
	for _, from := range []*cas.Local{s.before, s.origin} {
		if from == nil {
			continue
		}
		if found, err := s.bring(ctx, d, from); found || err != nil {
			return err
		}
	}
	return nil
}

// bring copies d from another store, if that has it whole.
func (s *originStore) bring(ctx context.Context, d cas.Digest, from *cas.Local) (bool, error) {
	var missing *cas.MissingError
	var damaged *cas.CorruptError
	r, err := from.Open(ctx, d)
	if err == nil {
		_, _, err = s.Local.Put(ctx, r)
		r.Close()
	}
	if errors.As(err, &missing) || errors.As(err, &damaged) {
		return false, nil // as good as none
	}
	return err == nil, err
}

func (s *originStore) find(ctx context.Context) {
	url, found, err := s.git.Config(ctx, "remote.origin.url")
	dir := filepath.FromSlash(strings.TrimPrefix(url, "file://"))
	if err != nil || !found || !filepath.IsAbs(dir) {
		return
	}
	repo, err := git.At(dir)
	if err != nil || repo.CommonDir == s.git.CommonDir {
		return
	}
	local := NewLocal(repo)
	if set, err := local.readSettings(); err == nil {
		local.cache = set.Cache
	}
	if origin, err := cas.OpenForeign(local.Store()); err == nil {
		s.origin = origin
	}
}
