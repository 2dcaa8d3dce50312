package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// maxSkip is how much of a file is read for nothing where the server knows no ranges.
const maxSkip = 4 << 20

// Get asks for a range, unless it is all of the file.
func (p *place) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := remote.CheckName(name); err != nil {
		return nil, p.failed("get", name, err)
	}
	body, n, err := p.get(ctx, name, offset, length)
	if err != nil {
		return nil, p.failed("get", name, p.orNoRemote(ctx, err))
	}
	p.seen.Store(true)
	return remote.Body(ctx, body, n, func(err error) error {
		return p.failed("get", name, &connectionError{err})
	}), nil
}

func (p *place) get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, int64, error) {
	if offset < 0 {
		return nil, 0, fmt.Errorf("offset %d", offset)
	}
	if length == 0 { // no range says that
		_, err := p.size(ctx, name)
		return http.NoBody, 0, err
	}
	r := request{method: http.MethodGet, at: p.at(name)}
	all := offset == 0 && length < 0
	if !all {
		r.header = map[string]string{"Range": rangeOf(offset, length)}
	}
	resp, err := p.do(ctx, r, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return nil, 0, err
	}
	var n int64
	if resp.StatusCode == http.StatusPartialContent {
		n, err = checkRange(resp, offset, length)
	} else {
		n, err = skipTo(resp, offset, length)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, 0, err
	}
	return resp.Body, n, nil
}

func rangeOf(offset, length int64) string {
	if length < 0 {
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
}

// checkRange returns how many bytes a partial answer has to have.
func checkRange(resp *http.Response, offset, length int64) (int64, error) {
	var from, to int64
	said := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(said, "bytes %d-%d/", &from, &to); err != nil || from != offset || to < from {
		return 0, &kindError{remote.ErrShort, fmt.Errorf("asked for bytes from %d on, it sends %.60q", offset, said)}
	}
	n := to - from + 1
	if length >= 0 && n > length || resp.ContentLength >= 0 && resp.ContentLength != n {
		return 0, &kindError{remote.ErrShort, fmt.Errorf("asked for %d bytes, it sends %d as %.60q", length, resp.ContentLength, said)}
	}
	if length >= 0 {
		return length, nil
	}
	return n, nil
}

// skipTo reads to offset in an answer that begins at 0.
func skipTo(resp *http.Response, offset, length int64) (int64, error) {
	size := resp.ContentLength
	// Without a length, only a chunked body or HTTP/2 tells its end from a connection's.
	if size < 0 && resp.ProtoMajor == 1 && len(resp.TransferEncoding) == 0 {
		return 0, &kindError{remote.ErrUnsupported, fmt.Errorf("the server does not say how long the file is")}
	}
	if size >= 0 && offset > 0 && offset >= size {
		return 0, fmt.Errorf("it has %d bytes, and none at %d", size, offset)
	}
	if offset > maxSkip {
		return 0, &kindError{remote.ErrUnsupported, fmt.Errorf("the server sends no ranges of a file")}
	}
	if n, err := io.CopyN(io.Discard, resp.Body, offset); errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("it has %d bytes, and none at %d", n, offset)
	} else if err != nil {
		return 0, &connectionError{err}
	}
	if length < 0 && size >= 0 {
		return size - offset, nil
	}
	return length, nil
}

// Stat asks for the head of the file.
func (p *place) Stat(ctx context.Context, name string) (int64, error) {
	if err := remote.CheckName(name); err != nil {
		return 0, p.failed("stat", name, err)
	}
	size, err := p.size(ctx, name)
	if err != nil {
		return 0, p.failed("stat", name, p.orNoRemote(ctx, err))
	}
	p.seen.Store(true)
	return size, nil
}

func (p *place) size(ctx context.Context, name string) (int64, error) {
	resp, err := p.do(ctx, request{method: http.MethodHead, at: p.at(name)}, http.StatusOK)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	drain(resp.Body)
	if resp.ContentLength >= 0 {
		return resp.ContentLength, nil
	}
	// Some servers make up their mind only when they have to send something.
	first, err := p.do(ctx, request{method: http.MethodGet, at: p.at(name), header: map[string]string{"Range": "bytes=0-0"}}, http.StatusPartialContent)
	if err != nil {
		return 0, err
	}
	defer first.Body.Close()
	var size int64
	_, total, _ := strings.Cut(first.Header.Get("Content-Range"), "/")
	if _, err := fmt.Sscanf(total, "%d", &size); err != nil || size < 0 {
		return 0, &kindError{remote.ErrUnsupported, fmt.Errorf("the server does not say how long the file is")}
	}
	return size, nil
}
