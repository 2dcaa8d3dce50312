package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pkg/sftp"

	"github.com/kept-dev/kept/cas/remote"
)

// pieceSize is what is asked for at once, in requests of 32 KiB, while the piece before it is read.
const pieceSize = 1 << 20

// Get asks for a piece ahead of what is read.
func (d *folder) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := remote.CheckName(name); err != nil {
		return nil, d.failed(ctx, "get", name, err)
	}
	if offset < 0 {
		return nil, d.failed(ctx, "get", name, fmt.Errorf("offset %d", offset))
	}
	inner, cancel := context.WithCancel(ctx)
	r := &reader{d: d, ctx: inner, cancel: cancel, name: name, pieces: make(chan piece)}
	begun := make(chan error, 1)
	s, err := d.session(ctx)
	if err != nil {
		cancel()
		return nil, d.failed(ctx, "get", name, err)
	}
	d.given.Add(1)
	go func() {
		defer d.given.Done()
		defer s.release()
		r.fetch(s.client, offset, length, begun)
	}()
	select {
	case err = <-begun:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, d.failed(ctx, "get", name, err)
	}
	return r, nil
}

type piece struct {
	bytes []byte
	err   error // io.EOF after the last
}

type reader struct {
	d      *folder
	ctx    context.Context
	cancel context.CancelFunc
	name   string
	pieces chan piece
	now    piece
}

func (r *reader) Read(b []byte) (int, error) {
	for len(r.now.bytes) == 0 {
		if errors.Is(r.now.err, io.EOF) {
			return 0, io.EOF
		}
		if r.now.err != nil {
			return 0, r.d.failed(r.ctx, "get", r.name, r.now.err)
		}
		select {
		case r.now = <-r.pieces:
		case <-r.ctx.Done():
			r.now = piece{err: r.ctx.Err()}
		}
	}
	n := copy(b, r.now.bytes)
	r.now.bytes = r.now.bytes[n:]
	return n, nil
}

func (r *reader) Close() error {
	r.cancel()
	return nil
}

// fetch opens the file, says on begun whether its first piece is there, and reads it piece
// by piece until it is all read or nobody wants it any more.
func (r *reader) fetch(c *sftp.Client, offset, length int64, begun chan<- error) {
	f, err := c.Open(r.d.path(r.name))
	if err != nil {
		begun <- err
		return
	}
	defer func() { _ = f.Close() }() // read only
	first, left, err := begin(f, offset, length)
	begun <- err
	if err != nil {
		return
	}
	p := piece{bytes: first}
	// A piece is taken only when the one before it was read: two buffers are enough.
	var spare []byte
	for {
		offset, left = offset+int64(len(p.bytes)), left-int64(len(p.bytes))
		if left == 0 && p.err == nil {
			p.err = io.EOF
		}
		select {
		case r.pieces <- p:
		case <-r.ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
		if spare == nil {
			spare = make([]byte, pieceSize)
		}
		p.bytes, spare = spare[:min(left, pieceSize)], p.bytes[:pieceSize] // all but the last are whole
		if p.err = readPiece(f, p.bytes, offset); p.err != nil {
			p.bytes = nil
		}
	}
}

// begin reads the first piece, and says how many bytes there are with it.
func begin(f *sftp.File, offset, length int64) (first []byte, left int64, err error) {
	if left = length; length <= 0 {
		if left, err = leftOf(f, offset, length); err != nil {
			return nil, 0, err
		}
	}
	first = make([]byte, min(left, pieceSize))
	if err = readPiece(f, first, offset); errors.Is(err, remote.ErrShort) {
		if _, err2 := leftOf(f, offset, -1); err2 != nil {
			err = err2 // asking again would not help
		}
	}
	var status *sftp.StatusError
	if errors.As(err, &status) {
		// A folder can be opened, and says no more than that reading it failed.
		if _, err2 := leftOf(f, 0, 0); errors.Is(err2, fs.ErrNotExist) {
			err = err2
		}
	}
	return first, left, err
}

// leftOf returns how much of a length follows from offset on.
func leftOf(f *sftp.File, offset, length int64) (int64, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, fs.ErrNotExist
	case length == 0:
		return 0, nil
	}
	left := info.Size() - offset
	if left < 0 || left == 0 && offset > 0 {
		return 0, fmt.Errorf("it has %d bytes, and none at %d", info.Size(), offset)
	}
	return left, nil
}

// readPiece fills b. The client takes an answer that is short for the end of the file, so the end
// is asked for by itself.
func readPiece(f *sftp.File, b []byte, offset int64) error {
	for n := 0; n < len(b); {
		m, err := f.ReadAt(b[n:], offset+int64(n))
		n += m
		switch {
		case m > 0 && (err == nil || errors.Is(err, io.EOF)):
		case err == nil || errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it ends at %d", remote.ErrShort, offset+int64(n))
		default:
			return err
		}
	}
	return nil
}
