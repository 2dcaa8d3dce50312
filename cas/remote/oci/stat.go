package oci

import (
	"context"

	"github.com/kept-dev/kept/cas/remote"
)

// Stat is remote.Remote's.
func (r *repository) Stat(ctx context.Context, name string) (int64, error) {
	ctx, h := listen(ctx)
	if err := remote.CheckName(name); err != nil {
		return 0, r.fail(ctx, "stat", name, err, h)
	}
	l, err := r.stat(ctx, name)
	return l.size, r.fail(ctx, "stat", name, err, h)
}

// stat asks which manifest the tag is of, which costs nothing where reads of manifests are
// counted, and then for the manifest, if it is a new one.
func (r *repository) stat(ctx context.Context, name string) (layer, error) {
	manifest, err := r.resolve(ctx, tag(name))
	if err != nil {
		r.seen.forget(name)
		return layer{}, err
	}
	if l, ok := r.seen.digest(manifest); ok {
		r.seen.add(name, manifest, l)
		return l, nil
	}
	return r.byReference(ctx, name, string(manifest))
}
