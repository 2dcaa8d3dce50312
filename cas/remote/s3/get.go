package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/kept-dev/kept/cas/remote"
)

// Get implements remote.Remote.
func (b *bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	key, err := b.key("get", name)
	if err != nil {
		return nil, err
	}
	fail := func(err error) error { return b.failure(ctx, "get", name, err) }
	if offset < 0 {
		return nil, fail(fmt.Errorf("an offset of %d", offset))
	}
	if length == 0 { // which a header can't ask for
		return b.getNothing(ctx, name, offset, fail)
	}
	var out *s3.GetObjectOutput
	err = b.call(ctx, "get", name, func(l *link) error {
		var err error
		out, err = l.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: key, Range: asked(offset, length)})
		return err
	})
	if err != nil {
		return nil, err
	}
	length, err = checkRange(out, offset, length)
	if err != nil {
		_ = out.Body.Close() // nothing of it is wanted
		return nil, fail(err)
	}
	return remote.Body(ctx, out.Body, length, fail), nil
}

func (b *bucket) getNothing(ctx context.Context, name string, offset int64, fail func(error) error) (io.ReadCloser, error) {
	size, err := b.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if offset > size {
		return nil, fail(fmt.Errorf("%w: an offset of %d in %d", remote.ErrShort, offset, size))
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

// asked returns the header of a range, or nil for all.
func asked(offset, length int64) *string {
	if length < 0 && offset == 0 {
		return nil
	}
	header := fmt.Sprintf("bytes=%d-", offset)
	if length > 0 {
		header += strconv.FormatInt(offset+min(length-1, math.MaxInt64-offset), 10)
	}
	return &header
}

// checkRange returns how many bytes follow, if it is those that were asked for.
func checkRange(out *s3.GetObjectOutput, offset, length int64) (int64, error) {
	size := aws.ToInt64(out.ContentLength)
	whole := out.ContentRange == nil && offset == 0
	switch {
	case out.ContentLength == nil || size < 0:
		return 0, fmt.Errorf("%w: the server does not say how many follow", remote.ErrShort)
	case length >= 0 && size != length:
		return 0, fmt.Errorf("%w: %d from %d on, want %d", remote.ErrShort, size, offset, length)
	case !whole && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", offset)):
		return 0, fmt.Errorf("%w: the server sent %q, want what begins at %d", remote.ErrShort, clean(aws.ToString(out.ContentRange)), offset)
	}
	return size, nil
}

// Stat implements remote.Remote.
func (b *bucket) Stat(ctx context.Context, name string) (int64, error) {
	key, err := b.key("stat", name)
	if err != nil {
		return 0, err
	}
	size := int64(-1)
	err = b.call(ctx, "stat", name, func(l *link) error {
		out, err := l.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: key})
		if err == nil {
			size = aws.ToInt64(out.ContentLength)
			return nil
		}
		if !b.isVague(err) {
			return err
		}
		size, err = b.ask(ctx, l, key)
		return err
	})
	return size, err
}

// isVague is true for what is said of a HEAD and could mean different things, because
// the answer to one has no body: whether it is the file or the bucket that is not there,
// the credentials or what they allow.
func (b *bucket) isVague(err error) bool {
	switch status(err) {
	case http.StatusNotFound:
		return !b.known.Load()
	case http.StatusForbidden, http.StatusBadRequest, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return true
	}
	return false
}

// ask is a HEAD whose errors say more.
func (b *bucket) ask(ctx context.Context, l *link, key *string) (int64, error) {
	out, err := l.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: key, Range: asked(0, 1)})
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return 0, nil // it is there, and empty
	}
	if err != nil {
		return 0, err
	}
	_ = out.Body.Close() // the headers are what was asked for
	if out.ContentRange == nil {
		return aws.ToInt64(out.ContentLength), nil
	}
	_, total, _ := strings.Cut(*out.ContentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the server sent the range %q", clean(*out.ContentRange))
	}
	return size, nil
}

// Delete implements remote.Remote.
func (b *bucket) Delete(ctx context.Context, name string) error {
	key, err := b.key("delete", name)
	if err != nil {
		return err
	}
	err = b.call(ctx, "delete", name, func(l *link) error {
		_, err := l.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: key})
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
