package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// errLocation is that a registry wants a blob to be sent to somewhere else.
var errLocation = errors.New("the registry wants the upload at another host, or without encryption")

// hasBlob asks whether a blob is there.
func (r *repository) hasBlob(ctx context.Context, d digest) (bool, error) {
	resp, err := r.ask(ctx, http.MethodHead, "blobs/"+string(d), toPull)
	if err != nil {
		return false, err
	}
	defer drop(resp)
	switch resp.StatusCode {
	case http.StatusOK:
		return true, checkHeader(resp, d)
	case http.StatusNotFound:
		return false, nil
	}
	return false, answer(resp)
}

// putBlob sends a blob in one request, after the one that asks where to. The registry
// compares it with its digest.
func (r *repository) putBlob(ctx context.Context, d digest, body io.ReaderAt, size int64) error {
	at, err := r.beginUpload(ctx)
	if err != nil {
		return err
	}
	query := at.Query()
	query.Set("digest", string(d))
	at.RawQuery = query.Encode()
	section := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(body, 0, size)), nil }
	first, _ := section()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, at.String(), first)
	if err != nil {
		return err
	}
	req.GetBody = section
	req.ContentLength = size
	req.Header.Set("Content-Type", bytesType)
	resp, err := r.auth.do(req, toPush)
	if err != nil {
		return err
	}
	defer drop(resp)
	if resp.StatusCode != http.StatusCreated {
		return answer(resp)
	}
	return nil
}

// beginUpload returns the URL that a blob is to be sent to.
func (r *repository) beginUpload(ctx context.Context) (*url.URL, error) {
	resp, err := r.ask(ctx, http.MethodPost, "blobs/uploads/", toPush)
	if err != nil {
		return nil, err
	}
	defer drop(resp)
	if resp.StatusCode != http.StatusAccepted {
		return nil, answer(resp)
	}
	at, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	return at, r.checkLocation(at)
}

// checkLocation sees to it that an upload goes to the registry. One that was asked by
// its port may leave the usual one out.
func (r *repository) checkLocation(at *url.URL) error {
	registry := r.auth.registry
	if at.Port() == "" && registry.Port() == "443" && at.Hostname() == registry.Hostname() {
		at.Host = registry.Host
	}
	if !sameHost(at, registry) || at.Scheme != "https" && at.Scheme != registry.Scheme {
		return fmt.Errorf("%w: %s://%s", errLocation, at.Scheme, at.Host)
	}
	return nil
}
