package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	// headSize is how much of a stream is looked at before anything is written;
	// shorter content is never streamed.
	headSize = 1 << 20
	// blockSize is the unit of reading and writing a stream.
	blockSize = 256 << 10
	// smallest is the size below which compressing saves nothing: a file takes
	// whole blocks of its file system.
	smallest = 4 << 10
)

var (
	heads  = sync.Pool{New: func() any { b := make([]byte, headSize); return &b }}
	blocks = sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }}
)

// Put implements Store. Content that comes from a regular file, read from its
// current offset, is hashed before anything is written, so that adding what is
// there already needs no room and no compression; other large content is
// written first and dropped when it turns out to be there.
func (l *Local) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	d, n, err := l.put(ctx, r)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("store object: %w", err)
	}
	return d, n, nil
}

func (l *Local) put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	buf := heads.Get().(*[]byte)
	defer heads.Put(buf)
	n, err := readFull(ctx, r, *buf)
	head := (*buf)[:n]
	switch {
	case err == io.EOF: //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		d := Sum(head)
		return d, int64(n), l.putSmall(ctx, d, head)
	case err != nil:
		return Digest{}, 0, err
	}
	file := asFile(r)
	if file != nil {
		d, size, err := file.hash(ctx, head)
		if err != nil {
			return Digest{}, 0, err
		}
		if there, err := l.has(d, size); there || err != nil {
			return d, size, err
		}
	}
	return l.putStream(ctx, head, r, sample(head, file))
}

// readFull fills b and returns io.EOF if r ends before b is full. Unlike
// io.ReadFull it keeps a reader's own io.ErrUnexpectedEOF, by which a broken
// connection says that this was not the end, apart from the end.
func readFull(ctx context.Context, r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil // what else there is to say the next Read says again
	}
	return n, err
}

// seekableFile is the rest of a regular file after its first headSize bytes.
type seekableFile struct {
	*os.File
	offset int64
	size   int64 // of the rest, as far as it is known
}

// asFile returns nil where r is not a regular file.
func asFile(r io.Reader) *seekableFile {
	f, ok := r.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	return &seekableFile{File: f, offset: offset, size: info.Size() - offset}
}

// hash returns the digest and size of head and the rest of the file.
func (f *seekableFile) hash(ctx context.Context, head []byte) (Digest, int64, error) {
	h := NewHasher()
	h.Write(head)
	rest := io.NewSectionReader(f, f.offset, 1<<62-f.offset)
	n, err := eachBlock(ctx, rest, func(b []byte) error { h.Write(b); return nil })
	return h.Digest(), int64(len(head)) + n, err
}

// sample returns bytes by which to guess whether the content compresses: from
// all over the file where there is one, else all over the head, because many
// formats begin with a header that is nothing like the rest.
func sample(head []byte, file *seekableFile) []byte {
	const piece = 64 << 10
	b := append(make([]byte, 0, 4*piece), head[len(head)-piece:]...)
	for i := range 3 {
		if file == nil || file.size < piece {
			at := len(head) / 4 * i
			b = append(b, head[at:at+piece]...)
			continue
		}
		n, _ := file.ReadAt(b[len(b):len(b)+piece], file.offset+(file.size-piece)/2*int64(i)) // a guess needs no error
		b = b[:len(b)+n]
	}
	return b
}

// eachBlock calls fn with all that r yields until io.EOF and returns its size.
func eachBlock(ctx context.Context, r io.Reader, fn func([]byte) error) (size int64, err error) {
	buf := blocks.Get().(*[]byte)
	defer blocks.Put(buf)
	for err == nil {
		var n int
		n, err = readFull(ctx, r, *buf)
		if err == nil || err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure and not the end
			size += int64(n)
			if err := fn((*buf)[:n]); err != nil {
				return size, err
			}
		}
	}
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		err = nil
	}
	return size, err
}

// putSmall keeps content that is in memory as a whole.
func (l *Local) putSmall(ctx context.Context, d Digest, content []byte) error {
	if there, err := l.has(d, int64(len(content))); there || err != nil {
		return err
	}
	w := draft{local: l, digest: d, plain: int64(len(content)), stored: int64(len(content))}
	stored := content
	if len(content) >= smallest {
		if b := compress(content); worth(w.plain, int64(len(b))) {
			stored, w.stored, w.compressed = b, int64(len(b)), true
		}
	}
	if err := w.create(); err != nil {
		return err
	}
	defer w.Discard()
	if _, err := w.Write(stored); err != nil {
		return err
	}
	return w.commit(ctx)
}

// putStream keeps head and the rest of r.
func (l *Local) putStream(ctx context.Context, head []byte, r io.Reader, sample []byte) (Digest, int64, error) {
	w := draft{local: l, compressed: compresses(sample)}
	if err := w.create(); err != nil {
		return Digest{}, 0, err
	}
	defer func() { w.Discard() }() // w may have another file by then
	if err := w.fill(ctx, io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return Digest{}, 0, err
	}
	if there, err := l.has(w.digest, w.plain); there || err != nil {
		return w.digest, w.plain, err
	}
	if w.compressed && !worth(w.plain, w.stored) {
		if err := w.unpack(ctx); err != nil {
			return Digest{}, 0, err
		}
	}
	return w.digest, w.plain, w.commit(ctx)
}

// draft is an object being written.
type draft struct {
	tempFile
	local         *Local
	digest        Digest
	compressed    bool
	stored, plain int64
}

// create makes the temporary file.
func (w *draft) create() (err error) {
	l := w.local
	w.tempFile, err = l.disk.temp(l.TempDir())
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.forget()
	if err := l.makeDir(l.TempDir()); err != nil {
		return err
	}
	w.tempFile, err = l.disk.temp(l.TempDir())
	return err
}

// fill writes what r yields and finds out digest and sizes.
func (w *draft) fill(ctx context.Context, r io.Reader) (err error) {
	h := NewHasher()
	out := &counter{w: w.tempFile}
	sink := io.Writer(out)
	if w.compressed {
		if _, err := out.Write(make([]byte, headerSize)); err != nil {
			return err
		}
		p := newPacker(out)
		defer p.release()
		sink = p
	}
	w.plain, err = eachBlock(ctx, r, func(b []byte) error {
		h.Write(b)
		_, err := sink.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	if e, ok := sink.(io.Closer); ok {
		if err := e.Close(); err != nil {
			return err
		}
	}
	w.digest, w.stored = h.Digest(), out.n
	if w.compressed {
		_, err = w.WriteAt(appendHeader(nil, w.plain, w.stored), 0)
	}
	return err
}

// unpack replaces the file by one with the content as it is. The sample was
// wrong about the rest, and r cannot be asked again.
func (w *draft) unpack(ctx context.Context) error {
	packed := w.tempFile
	raw := draft{local: w.local}
	if err := raw.create(); err != nil {
		return err
	}
	r := newPlainReader(packed, w.stored, true)
	err := raw.fill(ctx, r)
	r.Close()
	if err == nil && raw.digest != w.digest {
		err = &CorruptError{Digest: w.digest, Err: errors.New("what was just compressed decompresses to something else")}
	}
	if err != nil {
		raw.Discard()
		return err
	}
	packed.Discard()
	*w = raw
	return nil
}

// commit verifies the file, makes it durable and gives it its name. The order
// is the protocol: nothing has a name before it was read back and synced, and
// nobody is told before the name is synced as well.
func (w *draft) commit(ctx context.Context) error {
	if err := w.verify(ctx); err != nil {
		return err
	}
	if err := w.Sync(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.local.publish(w)
}

// verify reads the file as Open will. It has caught encoders that changed
// bytes (restic met two of them) before the original was gone.
func (w *draft) verify(ctx context.Context) error {
	if w.compressed {
		plain, damage, err := readHeader(w, w.stored)
		if err != nil {
			return err
		}
		if damage != nil || plain != w.plain {
			return &CorruptError{Digest: w.digest, Err: errors.Join(damage, errHeader)}
		}
	}
	r := newPlainReader(w, w.stored, w.compressed)
	defer r.Close()
	v := &verifier{ctx: ctx, r: r, closer: r, hash: NewHasher(), want: w.digest, size: w.plain, failed: r.failed}
	_, err := eachBlock(ctx, v, func([]byte) error { return nil })
	return err
}

// publish gives the file its name, unless it is taken by the same content.
func (l *Local) publish(w *draft) error {
	name := l.path(w.digest, w.compressed)
	dir := filepath.Dir(name)
	var err error
	for range 3 {
		if err := l.makeDir(dir); err != nil {
			return err
		}
		switch err = w.Publish(name); {
		case err == nil:
			return l.disk.syncDir(dir)
		case errors.Is(err, fs.ErrExist): // somebody was faster, or left something damaged
			if there, err := l.has(w.digest, w.plain); there || err != nil {
				return err
			}
		case errors.Is(err, fs.ErrNotExist): // somebody removed the folder
			l.forget()
		default:
			return err
		}
	}
	return fmt.Errorf("publish %s: %w", w.digest, err) // fs.ErrExist: a damaged file that cannot be moved
}

// has reports whether the store has d with this size, durably. What it has
// with another size is damaged and goes to quarantine.
func (l *Local) has(d Digest, size int64) (bool, error) {
	f, err := l.find(d)
	var missing *MissingError
	var corrupt *CorruptError
	switch {
	case errors.As(err, &missing), errors.As(err, &corrupt):
		return false, nil
	case err != nil:
		return false, err
	}
	defer f.Close()
	if f.plain != size {
		_ = l.quarantine(f, d, fmt.Errorf("it has %d bytes, want %d", f.plain, size))
		return false, nil
	}
	// The process that wrote it may not have come to this yet, nor to its parents.
	dir := filepath.Dir(f.Name())
	err = l.makeDir(dir)
	if err == nil {
		err = l.disk.syncDir(dir)
	}
	if err != nil && !IsReadOnly(err) { // nobody is just writing to what is read-only
		return false, err
	}
	return true, nil
}

// counter counts the bytes written to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
