package workspace

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/cas"
)

// cacheHeader starts a stat cache. The cache is ours alone: a file with another
// header, or one whose checksum is off, counts as empty.
const cacheHeader = "kept stat cache 1\n"

// stat is what tells a file apart from its former self without reading it.
type stat struct {
	size, mtime, ctime int64
	inode              uint64
	mode               fs.FileMode
}

type cached struct {
	stat
	digest cas.Digest
}

// statCache maps paths to the digests of the files that were there. The file is
// read when a path is first asked for: most hooks never do.
type statCache struct {
	file string
	// entries is nil until the file was read.
	entries map[string]cached
	changed bool
}

func openCache(file string) *statCache { return &statCache{file: file} }

// load reads the file, once.
func (c *statCache) load() {
	if c.entries != nil {
		return
	}
	c.entries = map[string]cached{}
	data, err := os.ReadFile(c.file)
	if err == nil && !c.decode(data) {
		c.entries = map[string]cached{}
	}
}

func (c *statCache) lookup(path string, s stat) (cas.Digest, bool) {
	c.load()
	e, ok := c.entries[path]
	if !ok || e.stat != s {
		return cas.Digest{}, false
	}
	return e.digest, true
}

// record remembers digest for a file whose stat data was the same before and
// after it was read at time now.
func (c *statCache) record(path string, s stat, digest cas.Digest, now time.Time) {
	c.load()
	if racy(s, now) {
		// A later write within the clock's grain would leave the stat data as
		// it is, so the next look has to read the file again.
		if _, ok := c.entries[path]; ok {
			delete(c.entries, path)
			c.changed = true
		}
		return
	}
	if e, ok := c.entries[path]; ok && e.stat == s && e.digest == digest {
		return
	}
	c.entries[path] = cached{stat: s, digest: digest}
	c.changed = true
}

// racy reports whether a file was changed so shortly before now that a second
// change could carry the same time. File systems that keep whole seconds show
// it by their zeros; the others tick at least every 10 ms.
func racy(s stat, now time.Time) bool {
	grain := int64(20 * time.Millisecond)
	if s.mtime%int64(time.Second) == 0 {
		grain = int64(2 * time.Second)
	}
	return max(s.mtime, s.ctime)+grain > now.UnixNano()
}

func (c *statCache) save() error {
	if !c.changed {
		return nil
	}
	dir := filepath.Dir(c.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".index-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(c.encode())
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), c.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	c.changed = false
	return nil
}

func (c *statCache) encode() []byte {
	b := []byte(cacheHeader)
	for path, e := range c.entries {
		b = binary.AppendUvarint(b, uint64(len(path)))
		b = append(b, path...)
		b = binary.AppendVarint(b, e.size)
		b = binary.AppendVarint(b, e.mtime)
		b = binary.AppendVarint(b, e.ctime)
		b = binary.AppendUvarint(b, e.inode)
		b = binary.AppendUvarint(b, uint64(e.mode))
		b = append(b, e.digest[:]...)
	}
	sum := cas.Sum(b)
	return append(b, sum[:]...)
}

func (c *statCache) decode(data []byte) bool {
	body := len(data) - len(cas.Digest{})
	if body < len(cacheHeader) || string(data[:len(cacheHeader)]) != cacheHeader {
		return false
	}
	if cas.Sum(data[:body]) != cas.Digest(data[body:]) {
		return false
	}
	r := reader{b: data[len(cacheHeader):body]}
	for len(r.b) > 0 && !r.bad {
		path := string(r.take(r.uvarint()))
		e := cached{stat: stat{size: r.varint(), mtime: r.varint(), ctime: r.varint()}}
		e.inode = r.uvarint()
		e.mode = fs.FileMode(r.uvarint())
		copy(e.digest[:], r.take(uint64(len(e.digest))))
		c.entries[path] = e
	}
	return !r.bad
}

// reader takes fields off the front of b; a short b makes it bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.bad, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}
