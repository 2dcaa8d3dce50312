// Package sftp keeps a remote's files in a folder of a host that is reached by SSH.
//
//	sftp://[user@]host[:port]/srv/models     an absolute path
//	sftp://[user@]host[:port]/~/models       one below the home folder
//
// It speaks the protocols itself and starts no program. The user's own ssh
// configuration says what a host's name means, with which keys to log in and
// over which other hosts to go; a repository can set none of it. The host's key must
// be a known one, always.
//
// One connection serves all calls. It is made by the first of them, and again
// after it broke.
package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"github.com/kept-dev/kept/cas/remote"
)

// sessions are the calls' own channels on a connection. The window of one is 2 MiB, which is
// what a round trip moves at most.
const maxSessions = 4

// graceOnClose is how long Close waits for calls that were given up to clean up.
const graceOnClose = 2 * time.Second

type folder struct {
	url  *remote.URL
	root string

	// quiet is how long nothing may come from the host before it is asked whether it
	// is there; after three times that it counts as gone.
	quiet time.Duration

	gate chan struct{} // held while link is looked at or made
	link *link
	// seen says that the folder or the one above it was there.
	seen atomic.Bool
	// given are calls that still run, waited for or not.
	given sync.WaitGroup
}

// Open opens the folder at u. There are no settings: how to log in is the
// business of the user's ssh configuration.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	if len(s) > 0 {
		return nil, fmt.Errorf("%s: %w", u, s.Only("url"))
	}
	root, err := rootOf(u)
	if err != nil {
		return nil, err
	}
	return &folder{url: u, root: root, quiet: quiet, gate: make(chan struct{}, 1)}, nil
}

// rootOf returns the path on the host: absolute, or relative to the home folder.
func rootOf(u *remote.URL) (string, error) {
	first, rest, _ := strings.Cut(u.Path, "/")
	switch {
	case first == "~":
		return path.Clean(rest), nil
	case strings.HasPrefix(first, "~"):
		return "", fmt.Errorf("%s: only the own home folder has a short name: want /~/ or an absolute path", u)
	}
	return "/" + u.Path, nil
}

func (d *folder) path(name string) string { return path.Join(d.root, name) }

// Close lets go of the connection.
func (d *folder) Close() error {
	done := make(chan struct{})
	go func() { d.given.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(graceOnClose):
	}
	d.gate <- struct{}{}
	defer func() { <-d.gate }()
	if d.link != nil {
		d.link.close()
	}
	return nil
}

func (d *folder) Stat(ctx context.Context, name string) (int64, error) {
	if err := remote.CheckName(name); err != nil {
		return 0, d.failed(ctx, "stat", name, err)
	}
	info, err := call(ctx, d, func(c *sftp.Client) (fs.FileInfo, error) { return c.Stat(d.path(name)) })
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return 0, d.failed(ctx, "stat", name, err)
	}
	d.seen.Store(true)
	return info.Size(), nil
}

// Delete removes folders that are empty then, too, but for those right below the root.
func (d *folder) Delete(ctx context.Context, name string) error {
	if err := remote.CheckName(name); err != nil {
		return d.failed(ctx, "delete", name, err)
	}
	_, err := call(ctx, d, func(c *sftp.Client) (struct{}, error) {
		err := c.Remove(d.path(name))
		for dir := path.Dir(name); err == nil && strings.Contains(dir, "/"); dir = path.Dir(dir) {
			if c.RemoveDirectory(d.path(dir)) != nil {
				break // somebody else's files are in it
			}
		}
		return struct{}{}, err
	})
	if err = d.failed(ctx, "delete", name, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// call runs f with a session, and returns when f does or ctx ends. The client can't be
// interrupted: f goes on to its end then, and what it holds it lets go of itself.
func call[T any](ctx context.Context, d *folder, f func(*sftp.Client) (T, error)) (T, error) {
	var none T
	s, err := d.session(ctx)
	if err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	d.given.Add(1)
	go func() {
		defer d.given.Done()
		defer s.release()
		value, err := f(s.client)
		if errors.Is(kindOf(err), remote.ErrTemporary) {
			s.link.drop(s) // nobody else gets it
		}
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
