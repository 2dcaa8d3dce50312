package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // the one checksum that every server compares without a signature
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/kept-dev/kept/cas/remote"
)

// Put implements remote.Remote. It sends a checksum ahead that the server compares before
// anything counts, so that what arrived needs no second look.
func (b *bucket) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	key, err := b.key("put", name)
	if err != nil {
		return err
	}
	if size < 0 {
		return &remote.Error{Op: "put", Remote: b.url, Name: name, Err: fmt.Errorf("a size of %d bytes", size)}
	}
	lent := &lent{body: body, size: size}
	defer lent.takeBack()
	err = b.call(ctx, "put", name, func(l *link) error {
		in := &s3.PutObjectInput{
			Bucket: &b.bucket, Key: key, ContentLength: &size, ContentType: aws.String("application/octet-stream"),
			Body: io.NewSectionReader(lent, 0, size),
		}
		sums, err := b.sums(l, in, io.NewSectionReader(unsent{lent}, 0, size))
		if err != nil {
			return err
		}
		_, err = l.client.PutObject(ctx, in, sums...)
		return err
	})
	if failed := lent.err(); err != nil && failed != nil && ctx.Err() == nil {
		return &remote.Error{Op: "put", Remote: b.url, Name: name, Err: failed} // the rest follows from it
	}
	return err
}

// sums sees to it that a server refuses what arrives altered. AWS compares a CRC that
// costs next to nothing, and TLS is beneath. Everywhere else it is the SHA-256 that is
// signed with the request, because servers ignore a CRC which they don't know, or refuse
// it. Without a signature it is the MD5.
func (b *bucket) sums(l *link, in *s3.PutObjectInput, body io.Reader) ([]func(*s3.Options), error) {
	switch {
	case b.anonymous:
		sum, err := digest(body, md5.New()) //nolint:gosec // see above
		in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum))
		return nil, err
	case !l.custom:
		sum, err := digest(body, crc32.New(crc32.MakeTable(crc32.Castagnoli)))
		in.ChecksumCRC32C = aws.String(base64.StdEncoding.EncodeToString(sum))
		return nil, err
	}
	sum, err := digest(body, sha256.New())
	return []func(*s3.Options){s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("payload", func(
			ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
		) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return next.HandleFinalize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum)), in)
		}), middleware.Before)
	})}, err
}

func digest(body io.Reader, h hash.Hash) ([]byte, error) {
	_, err := io.CopyBuffer(h, body, make([]byte, 128<<10))
	return h.Sum(nil), err
}

// lent is the body that a caller of Put has lent. The transport may still read after
// the request has ended; the caller has it back then, and may do with it as it likes.
type lent struct {
	body io.ReaderAt
	size int64

	mu     sync.Mutex
	over   bool
	failed error
}

var errOver = errors.New("the request is over")

func (l *lent) ReadAt(p []byte, offset int64) (int, error) { return l.readAt(l.body, p, offset) }

// unsent is what is read for a checksum.
type unsent struct{ *lent }

func (u unsent) ReadAt(p []byte, offset int64) (int, error) {
	return u.readAt(remote.Unsent(u.body), p, offset)
}

func (l *lent) readAt(body io.ReaderAt, p []byte, offset int64) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return 0, errOver
	}
	n, err := body.ReadAt(p, offset)
	switch {
	case n == len(p):
		return n, nil
	case errors.Is(err, io.EOF) && offset+int64(n) < l.size:
		err = fmt.Errorf("the file has %d bytes, want %d", offset+int64(n), l.size)
	}
	if !errors.Is(err, io.EOF) {
		l.failed = err
	}
	return n, err
}

func (l *lent) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}
