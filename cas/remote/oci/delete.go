package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/kept-dev/kept/cas/remote"
)

// Delete is remote.Remote's. It deletes the tag, and the manifest that it was of,
// which would keep the bytes; these go when the registry collects its garbage. Many
// registries do the second only, which takes the tag along, and some do the first only.
func (r *repository) Delete(ctx context.Context, name string) error {
	ctx, h := listen(ctx)
	if err := remote.CheckName(name); err != nil {
		return r.fail(ctx, "delete", name, err, h)
	}
	err := r.remove(ctx, name, h)
	if errors.Is(err, errNotFound) {
		return nil
	}
	return r.fail(ctx, "delete", name, err, h)
}

func (r *repository) remove(ctx context.Context, name string, h *heard) error {
	defer r.seen.forget(name)
	manifest, err := r.resolve(ctx, tag(name))
	if err != nil {
		return err
	}
	untagged := r.unlink(ctx, tag(name))
	var resp *responseError
	if errors.As(untagged, &resp) && resp.status == http.StatusBadRequest {
		untagged = fmt.Errorf("%w: %w", errUnsupported, untagged)
	}
	if untagged != nil && !cannot(r.kind("delete", untagged, h)) {
		return untagged
	}
	err = r.unlink(ctx, string(manifest))
	if untagged == nil && cannot(r.kind("delete", err, h)) {
		return nil
	}
	return err
}

// cannot reports whether a registry says that it does not do something, or not to what is
// there no more. For tags, a few say so by calling the request a bad one.
func cannot(kind error) bool {
	return errors.Is(kind, remote.ErrUnsupported) || errors.Is(kind, fs.ErrNotExist)
}

// unlink deletes a tag alone, or a manifest with all its tags, by its digest.
func (r *repository) unlink(ctx context.Context, reference string) error {
	resp, err := r.ask(ctx, http.MethodDelete, "manifests/"+reference, toDelete)
	if err != nil {
		return err
	}
	defer drop(resp)
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return errNotFound
	}
	return answer(resp)
}
