package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// digestHeader is that in which registries say which blob or manifest it is.
const digestHeader = "Docker-Content-Digest"

// acceptAll are the manifests that a tag may be of. A registry that has another one may say
// that it has none, and that the tag is somebody else's is to be known.
const acceptAll = manifestType + ", " +
	"application/vnd.oci.image.index.v1+json, " +
	"application/vnd.oci.artifact.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json"

// resolve asks which manifest a tag is of.
func (r *repository) resolve(ctx context.Context, tag string) (digest, error) {
	resp, err := r.askManifest(ctx, http.MethodHead, tag)
	if err != nil {
		return "", err
	}
	defer drop(resp)
	d := digest(resp.Header.Get(digestHeader))
	if err := d.check(); err != nil {
		return "", fmt.Errorf("%s of a manifest: %w", digestHeader, err)
	}
	return d, nil
}

// byReference asks for the manifest of the file called name, by its tag or digest.
func (r *repository) byReference(ctx context.Context, name, reference string) (layer, error) {
	resp, err := r.askManifest(ctx, http.MethodGet, reference)
	if err != nil {
		return layer{}, err
	}
	defer drop(resp)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	switch {
	case err != nil:
		return layer{}, fmt.Errorf("manifest: %w", err)
	case len(text) > maxManifest:
		return layer{}, errForeign
	}
	d := sum(text)
	if err := checkHeader(resp, d); err != nil {
		return layer{}, err
	}
	if digest(reference).check() == nil && digest(reference) != d {
		return layer{}, fmt.Errorf("manifest: %w", errAltered)
	}
	l, err := decodeManifest(text)
	if err == nil {
		r.seen.add(name, d, l)
	}
	return l, err
}

func (r *repository) askManifest(ctx context.Context, method, reference string) (*http.Response, error) {
	req, err := r.newRequest(ctx, method, "manifests/"+reference, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", acceptAll)
	resp, err := r.auth.do(req, toPull)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusNotFound {
		return nil, errNotFound
	}
	return nil, answer(resp)
}

// store puts a manifest under a tag, and returns its digest.
func (r *repository) store(ctx context.Context, tag string, text []byte) (digest, error) {
	req, err := r.newRequest(ctx, http.MethodPut, "manifests/"+tag, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", manifestType)
	resp, err := r.auth.do(req, toPush)
	if err != nil {
		return "", err
	}
	defer drop(resp)
	if resp.StatusCode != http.StatusCreated {
		return "", answer(resp)
	}
	d := sum(text)
	return d, checkHeader(resp, d)
}

// checkHeader compares what a registry says of something with what it is. It need not
// say anything.
func checkHeader(resp *http.Response, d digest) error {
	if said := resp.Header.Get(digestHeader); said != "" && said != string(d) {
		return fmt.Errorf("%w: %s and not %s", errAltered, said, d)
	}
	return nil
}
