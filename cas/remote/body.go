package remote

import (
	"context"
	"fmt"
	"io"
)

// Body makes r what Get returns: it gives length bytes and then io.EOF, or all that r
// has where length is negative. Where r ends before, the error is ErrShort; after ctx has
// ended it wraps ctx.Err(). fail, where it is not nil, makes an *Error of what went wrong.
func Body(ctx context.Context, r io.ReadCloser, length int64, fail func(error) error) io.ReadCloser {
	if fail == nil {
		fail = func(err error) error { return err }
	}
	return &body{ReadCloser: r, ctx: ctx, left: length, bounded: length >= 0, length: length, fail: fail}
}

type body struct {
	io.ReadCloser
	ctx     context.Context
	left    int64
	bounded bool
	length  int64
	fail    func(error) error
}

func (b *body) Read(p []byte) (int, error) {
	if b.bounded && b.left == 0 {
		return 0, io.EOF
	}
	if err := b.ctx.Err(); err != nil {
		return 0, b.fail(err)
	}
	if b.bounded && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	switch {
	case err == nil || b.bounded && b.left == 0:
		return n, nil // at the end the next Read says io.EOF
	case err != io.EOF: //nolint:errorlint // an io.EOF that is wrapped is a broken connection
		if ended := b.ctx.Err(); ended != nil {
			err = fmt.Errorf("%w: %w", ended, err) // what the client says is only what follows from that
		}
		return n, b.fail(err)
	case b.bounded:
		return n, b.fail(fmt.Errorf("%w: %d of %d", ErrShort, b.length-b.left, b.length))
	}
	return n, io.EOF
}
