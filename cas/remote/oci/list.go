package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// pageSize is how many tags are asked for at once.
const pageSize = 1000

// maxPage is how long a page may be. Some registries answer with all tags at once,
// whatever the size of a page.
const maxPage = 64 << 20

// List is remote.Remote's. It knows no sizes: they are in the manifests.
func (r *repository) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	ctx, h := listen(ctx)
	if err := remote.CheckPrefix(prefix); err != nil {
		return r.fail(ctx, "list", prefix, err, h)
	}
	var own error
	err := r.tags(ctx, func(tags []string) error {
		for _, tag := range tags {
			name, ok := name(tag)
			if !ok || !strings.HasPrefix(name, prefix) {
				continue
			}
			if own = each(remote.Info{Name: name, Size: -1}); own != nil {
				return own
			}
		}
		return ctx.Err()
	})
	var resp *responseError
	switch {
	case own != nil:
		return own
	case errors.As(err, &resp) && resp.status == http.StatusNotFound:
		// A repository comes into being with the first push to it.
		return nil
	}
	return r.fail(ctx, "list", prefix, err, h)
}

// tags calls each with all tags, page by page. A page has a link to the next one; some
// registries give none, and so a page that is full may not be the last one.
func (r *repository) tags(ctx context.Context, each func([]string) error) error {
	at := r.firstPage("")
	for first := ""; ; {
		tags, next, err := r.page(ctx, at)
		switch {
		case err != nil:
			return err
		case len(tags) > 0 && tags[0] == first:
			// The first page came once more: the registry does not go on from a tag, and has
			// sent all of them.
			return nil
		case len(tags) > 0 && first == "":
			first = tags[0]
		}
		if err := each(tags); err != nil {
			return err
		}
		switch {
		case next != "" && next != at:
			at = next
		case next == "" && len(tags) >= pageSize:
			at = r.firstPage(tags[len(tags)-1])
		default:
			return nil
		}
	}
}

// firstPage returns the URL of the tags that come after last.
func (r *repository) firstPage(last string) string {
	query := url.Values{"n": {strconv.Itoa(pageSize)}}
	if last != "" {
		query.Set("last", last)
	}
	return r.base + "tags/list?" + query.Encode()
}

// page returns the tags of the page at a URL, and the URL of the next one, or "".
func (r *repository) page(ctx context.Context, at string) (tags []string, next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := r.auth.do(req, toPull)
	if err != nil {
		return nil, "", err
	}
	defer drop(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, "", answer(resp)
	}
	var page struct {
		Tags []string `json:"tags"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(&page); err != nil {
		return nil, "", fmt.Errorf("tags: %w", err)
	}
	next, err = nextPage(resp)
	return page.Tags, next, err
}

// nextPage returns the URL that the answer links to, which has to be where it came from: a
// registry has no business to say what else is asked for.
func nextPage(resp *http.Response) (string, error) {
	link := resp.Header.Get("Link")
	if link == "" {
		return "", nil
	}
	text, _, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || link[0] != '<' {
		return "", fmt.Errorf("tags: %q is no link to the next page", link)
	}
	next, err := resp.Request.URL.Parse(text)
	if err != nil || !sameOrigin(next, resp.Request.URL) {
		return "", fmt.Errorf("tags: the next page is at %q, which is elsewhere", text)
	}
	return next.String(), nil
}
