package http

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

// cleanTime is how long it may take to remove what is of no use.
const cleanTime = 20 * time.Second

// Put sends the file under another name, finds out whether it arrived, and moves it.
func (p *place) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	if err := remote.CheckName(name); err != nil {
		return p.failed("put", name, err)
	}
	if size < 0 {
		return p.failed("put", name, fmt.Errorf("size %d", size))
	}
	if !p.dav {
		return p.failed("put", name, errReadOnly)
	}
	lent := remote.Lend(body)
	err := p.put(ctx, name, lent, size)
	lent.Return(ctx.Err())
	return p.failed("put", name, err)
}

func (p *place) put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	dir := path.Dir(name)
	if err := p.makeFolder(ctx, dir); err != nil {
		return err
	}
	temp := path.Join(dir, ".tmp-"+strings.ToLower(rand.Text()))
	send := request{method: http.MethodPut, at: p.at(temp), body: body, size: size}
	err := p.ask(ctx, send)
	if status := statusOf(err); status == http.StatusNotFound || status == http.StatusConflict {
		// The folder was there, and is gone.
		p.made.Clear()
		if err := p.makeFolder(ctx, dir); err != nil {
			return err
		}
		err = p.ask(ctx, send)
	}
	if err == nil {
		err = p.arrived(ctx, temp, body, size)
	}
	if err == nil {
		// Only the path: a server behind another one does not know the rest of its address.
		err = p.ask(ctx, request{method: "MOVE", at: p.at(temp), header: map[string]string{
			"Destination": p.at(name).EscapedPath(), "Overwrite": "T",
		}})
	}
	if err != nil {
		p.clean(ctx, temp)
	}
	return err
}

// clean removes a temporary while nobody waits. If it stays, List leaves it out.
func (p *place) clean(ctx context.Context, temp string) {
	p.cleaning.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		_ = p.ask(ctx, request{method: "DELETE", at: p.at(temp)})
	})
}

// arrived finds out whether the server has what was sent. Over HTTPS no byte can be another
// one, so that the number is enough; over HTTP all of them are read back.
func (p *place) arrived(ctx context.Context, temp string, body io.ReaderAt, size int64) error {
	if p.base.Scheme == "https" {
		got, err := p.size(ctx, temp)
		if err == nil && got != size {
			err = &kindError{remote.ErrAltered, fmt.Errorf("%d bytes arrived of %d", got, size)}
		}
		return err
	}
	r, n, err := p.get(ctx, temp, 0, -1)
	if err != nil {
		return err
	}
	back := remote.Body(ctx, r, n, func(err error) error { return &connectionError{err} })
	defer back.Close()
	return equal(back, io.NewSectionReader(body, 0, size))
}

func equal(got, want io.Reader) error {
	a, b := make([]byte, 128<<10), make([]byte, 128<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(want, b)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		m, err2 := io.ReadFull(got, a[:max(n, 1)])
		if err2 != nil && err2 != io.EOF && err2 != io.ErrUnexpectedEOF {
			return err2
		}
		if !bytes.Equal(a[:m], b[:n]) {
			return &kindError{remote.ErrAltered, fmt.Errorf("what it sends back of %d bytes from %d on is not what was sent", n, at)}
		}
		if n == 0 {
			return nil
		}
		at += int64(n)
	}
}

// makeFolder makes a folder and those above it, up to the remote's own, unless they are there.
func (p *place) makeFolder(ctx context.Context, dir string) error {
	if _, known := p.made.Load(dir); known || dir == "." && p.base.Path == "" {
		return nil
	}
	make := request{method: "MKCOL", at: p.at(folder(dir))}
	err := p.ask(ctx, make)
	if status := statusOf(err); status == http.StatusConflict || status == http.StatusNotFound {
		if dir == "." {
			return &kindError{remote.ErrNoRemote, fmt.Errorf("there is no folder %s", path.Dir(p.base.Path))}
		}
		if err := p.makeFolder(ctx, path.Dir(dir)); err != nil {
			return err
		}
		err = p.ask(ctx, make)
	}
	var refused *statusError
	switch {
	case err == nil || statusOf(err) == http.StatusMethodNotAllowed: // it is there
		p.made.Store(dir, true)
		return nil
	case errors.As(err, &refused) && !errors.Is(refused.kind, remote.ErrCredentials) && !errors.Is(refused.kind, remote.ErrTemporary):
		return nil // whether it is there, the server says when the file comes
	}
	return err
}
