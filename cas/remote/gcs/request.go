package gcs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// request is one call of the JSON API.
type request struct {
	method string
	path   string // escaped, behind the service
	query  url.Values
	header http.Header
	body   io.Reader
	size   int64
}

// path returns that of an object, whose name is one word in it.
func (b *bucket) path(name string) string {
	return "/storage/v1/b/" + b.name + "/o/" + url.PathEscape(b.prefix+name)
}

// do returns the answer, if it is one of success. The caller must close its body.
func (b *bucket) do(ctx context.Context, q request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, q.method, b.base+q.path+"?"+q.query.Encode(), q.body)
	if err != nil {
		return nil, err
	}
	if q.header != nil {
		req.Header = q.header
	}
	if q.body != nil {
		req.ContentLength = q.size
	}
	req.Header.Set("User-Agent", "kept")
	if b.login != nil {
		p, err := b.login.pass(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+p.token)
		if p.project != "" {
			req.Header.Set("X-Goog-User-Project", p.project)
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, readAnswer(resp)
	}
	return resp, nil
}

// maxJSON is more than any answer has that was asked for.
const maxJSON = 16 << 20

// ask is do for an answer of JSON, which it fills into v; nil ignores it.
func (b *bucket) ask(ctx context.Context, q request, v any) error {
	resp, err := b.do(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJSON))
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return nil
}

// object is what the service says of one.
type object struct {
	Name   string `json:"name"`
	Size   int64  `json:"size,string"`
	CRC32C string `json:"crc32c"`
}
