package azure

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	sdk "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// maxPut is what the service takes in one request.
const maxPut = 5000 << 20

// Put implements remote.Remote. All of it is one request with its MD5, which the
// service refuses if that is not right. Of its checksums it is the one that all of its versions check.
func (c *container) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	err := check(ctx, name)
	switch {
	case err != nil:
	case size < 0:
		err = fmt.Errorf("a size of %d", size)
	case size > maxPut:
		err = fmt.Errorf("%w: a file of %d bytes, at most %d", remote.ErrUnsupported, size, maxPut)
	default:
		err = c.put(ctx, name, body, size)
	}
	return c.fail(ctx, "put", name, err)
}

func (c *container) put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	sum := md5.New()
	if _, err := io.Copy(sum, web.NewSource(ctx, body, size)); err != nil {
		return err
	}
	source := web.NewSource(ctx, body, size)
	want := sum.Sum(nil)
	resp, err := c.sdk.NewBlockBlobClient(c.prefix+name).Upload(ctx, source, &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(want),
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentMD5: want},
	})
	if failed := source.Stop(); failed != nil {
		return failed
	}
	if err == nil && !bytes.Equal(resp.ContentMD5, want) {
		return fmt.Errorf("%w: MD5 %x, want %x", remote.ErrAltered, resp.ContentMD5, want)
	}
	return err
}

// Get implements remote.Remote.
func (c *container) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := c.get(ctx, name, offset, length)
	if err != nil {
		return nil, c.fail(ctx, "get", name, err)
	}
	return body, nil
}

func (c *container) get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("offset %d", offset)
	}
	fail := func(err error) error { return c.fail(ctx, "get", name, err) }
	if length == 0 {
		return c.getNothing(ctx, name, offset, fail)
	}
	all := offset == 0 && length < 0
	resp, err := c.sdk.NewBlobClient(c.prefix+name).DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: offset, Count: max(0, length)},
	})
	if err != nil {
		return nil, err
	}
	n, err := int64(-1), error(nil)
	switch {
	case resp.ContentLength == nil:
		err = fmt.Errorf("%w: the answer does not say how many", remote.ErrShort)
	case all:
		n = *resp.ContentLength
	default:
		n, err = web.CheckContentRange(http.StatusPartialContent, text(resp.ContentRange), offset, length)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return remote.Body(ctx, resp.Body, n, fail), nil
}

// getNothing is a Get of no bytes, which HTTP has no range for.
func (c *container) getNothing(ctx context.Context, name string, offset int64, fail func(error) error) (io.ReadCloser, error) {
	size, err := c.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if offset > size {
		return nil, fmt.Errorf("offset %d in a file of %d bytes", offset, size)
	}
	return remote.Body(ctx, io.NopCloser(bytes.NewReader(nil)), 0, fail), nil
}

// Stat implements remote.Remote.
func (c *container) Stat(ctx context.Context, name string) (int64, error) {
	err := check(ctx, name)
	var size int64
	if err == nil {
		size, err = c.stat(ctx, name)
	}
	return size, c.fail(ctx, "stat", name, err)
}

func (c *container) stat(ctx context.Context, name string) (int64, error) {
	resp, err := c.sdk.NewBlobClient(c.prefix+name).GetProperties(ctx, nil)
	if err != nil {
		return 0, err
	}
	if resp.ContentLength == nil {
		return 0, fmt.Errorf("%w: the answer does not say how many", remote.ErrShort)
	}
	return *resp.ContentLength, nil
}

// Delete implements remote.Remote.
func (c *container) Delete(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil {
		_, err = c.sdk.NewBlobClient(c.prefix+name).Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	}
	err = c.fail(ctx, "delete", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements remote.Remote.
func (c *container) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	err := errors.Join(ctx.Err(), remote.CheckPrefix(prefix))
	if err == nil {
		err = c.list(ctx, prefix, each)
	}
	return c.fail(ctx, "list", prefix, err)
}

func (c *container) list(ctx context.Context, prefix string, each func(remote.Info) error) error {
	pages := c.sdk.NewListBlobsFlatPager(&sdk.ListBlobsFlatOptions{Prefix: to.Ptr(c.prefix + prefix)})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if page.Segment == nil {
			continue
		}
		for _, item := range page.Segment.BlobItems {
			info, ok := c.info(item)
			if !ok || !strings.HasPrefix(info.Name, prefix) {
				continue
			}
			if err := each(info); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// info returns what is said of a blob that is a file of ours. With a hierarchical
// namespace folders are listed too.
func (c *container) info(item *sdk.BlobItem) (remote.Info, bool) {
	name, ok := strings.CutPrefix(text(item.Name), c.prefix)
	p := item.Properties
	if !ok || remote.CheckName(name) != nil || p == nil || p.ContentLength == nil || text(p.ResourceType) == "directory" {
		return remote.Info{}, false
	}
	return remote.Info{Name: name, Size: *p.ContentLength}, true
}

func check(ctx context.Context, name string) error {
	return errors.Join(ctx.Err(), remote.CheckName(name))
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
