package gcs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// Put implements remote.Remote. All of it is one request of two parts: what the object is
// to be, with its checksum, and the bytes. The service keeps them together or not at all,
// and refuses bytes with another checksum. To go on where a long upload broke would take
// two requests more for each.
func (b *bucket) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	err := remote.CheckName(name)
	if err == nil && size < 0 {
		err = fmt.Errorf("a size of %d", size)
	}
	if err == nil {
		err = b.put(ctx, name, body, size)
	}
	return b.fail(ctx, "put", name, err)
}

func (b *bucket) put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	sum, err := checksum(ctx, body, size)
	if err != nil {
		return err
	}
	// An object that anybody may read is otherwise cached for an hour, the one that was
	// replaced too.
	description, err := json.Marshal(map[string]string{
		"name": b.prefix + name, "crc32c": sum, "contentType": "application/octet-stream", "cacheControl": "no-store, no-transform",
	})
	if err != nil {
		return err
	}
	boundary := rand.Text()
	head := fmt.Sprintf("--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n--%s\r\nContent-Type: application/octet-stream\r\n\r\n",
		boundary, description, boundary)
	tail := "\r\n--" + boundary + "--\r\n"
	source := web.NewSource(ctx, body, size)
	var made object
	err = b.ask(ctx, request{
		method: http.MethodPost,
		path:   "/upload/storage/v1/b/" + b.name + "/o",
		query:  url.Values{"uploadType": {"multipart"}, "fields": {"name,size,crc32c"}},
		header: http.Header{"Content-Type": {"multipart/related; boundary=" + boundary}},
		body:   io.MultiReader(bytes.NewReader([]byte(head)), source, bytes.NewReader([]byte(tail))),
		size:   int64(len(head)) + size + int64(len(tail)),
	}, &made)
	if failed := source.Stop(); failed != nil {
		return failed
	}
	if err == nil && (made.Name != b.prefix+name || made.Size != size || made.CRC32C != sum) {
		// The checksum is that of the bytes: the name was beside them.
		return fmt.Errorf("%w: the service has made %q of %d bytes with checksum %s, want %d with %s",
			remote.ErrAltered, made.Name, made.Size, made.CRC32C, size, sum)
	}
	return err
}

// checksum returns that of the body as the service writes it.
func checksum(ctx context.Context, body io.ReaderAt, size int64) (string, error) {
	hash := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	source := web.NewSource(ctx, body, size)
	if _, err := io.Copy(hash, source); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, hash.Sum32())), nil
}
