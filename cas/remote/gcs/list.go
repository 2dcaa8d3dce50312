package gcs

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// page is one answer to a list.
type page struct {
	Items []object `json:"items"`
	Next  string   `json:"nextPageToken"`
}

// List implements remote.Remote.
func (b *bucket) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	err := remote.CheckPrefix(prefix)
	if err == nil {
		err = b.list(ctx, prefix, each)
	}
	return b.fail(ctx, "list", prefix, err)
}

func (b *bucket) list(ctx context.Context, prefix string, each func(remote.Info) error) error {
	query := url.Values{"prefix": {b.prefix + prefix}, "fields": {"items(name,size),nextPageToken"}, "maxResults": {"1000"}}
	for {
		var p page
		if err := b.ask(ctx, request{method: http.MethodGet, path: "/storage/v1/b/" + b.name + "/o", query: query}, &p); err != nil {
			return err
		}
		for _, o := range p.Items {
			name := strings.TrimPrefix(o.Name, b.prefix)
			if remote.CheckName(name) != nil || !strings.HasPrefix(name, prefix) {
				continue
			}
			if err := each(remote.Info{Name: name, Size: o.Size}); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if p.Next == "" {
			return nil
		}
		query.Set("pageToken", p.Next)
	}
}
