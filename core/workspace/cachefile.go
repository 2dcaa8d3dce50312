package workspace

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/kept-dev/kept/cas"
)

// The stat cache on disk is ours alone: one that is not exactly as it was
// written counts as empty, and a damaged block as missing.
//
//	header   "kept stat cache 2\n"
//	blocks   of the folders, sorted bytewise by path: records, then names
//	table    a row of 56 bytes for each block, in the same order
//	paths    of the folders, one after the other, relative to the working tree
//	wholes   what some folders were with all that is in them, varints and digests
//	trailer  56 bytes
//
// Numbers are little-endian. A row is where the block begins (8), how many
// records it has (4), how long its names are (4), where its path ends in paths
// (4), 0 (4), and the BLAKE3 of the block (32). The trailer is where the table
// begins (8), how many rows it has (8), how long paths is (8), and the BLAKE3 of
// all from the table up to here (32).
const cacheHeader = "kept stat cache 2\n"

const (
	rowSize     = 24 + len(cas.Digest{})
	trailerSize = 24 + len(cas.Digest{})
)

var errCache = errors.New("not a stat cache")

// cacheFile is a stat cache on disk, open for reading. A nil one is empty. Its
// methods are safe for concurrent use, also by one that closes it: what cannot be
// read is not known.
type cacheFile struct {
	r      io.ReaderAt
	f      io.Closer
	table  []byte
	paths  []byte
	wholes map[string]whole
}

func openCacheFile(name string) (*cacheFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var c *cacheFile
		if c, err = readCacheFile(f, info.Size()); err == nil {
			c.f = f
			return c, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// readCacheFile reads all but the blocks of a stat cache of the given size.
func readCacheFile(r io.ReaderAt, size int64) (*cacheFile, error) {
	if size < int64(len(cacheHeader)+trailerSize) || size > math.MaxInt32*int64(rowSize) {
		return nil, errCache
	}
	header, trailer := make([]byte, len(cacheHeader)), make([]byte, trailerSize)
	if err := readAt(r, header, 0); err != nil {
		return nil, err
	}
	if err := readAt(r, trailer, size-int64(len(trailer))); err != nil {
		return nil, err
	}
	tableAt := binary.LittleEndian.Uint64(trailer)
	rows, paths := binary.LittleEndian.Uint64(trailer[8:]), binary.LittleEndian.Uint64(trailer[16:])
	end := uint64(size - int64(trailerSize))
	if string(header) != cacheHeader || tableAt < uint64(len(header)) || tableAt > end {
		return nil, errCache
	}
	rest := end - tableAt
	if rows > rest/uint64(rowSize) || paths > rest-rows*uint64(rowSize) {
		return nil, errCache
	}
	index := make([]byte, rest+24)
	if err := readAt(r, index, int64(tableAt)); err != nil {
		return nil, err
	}
	if cas.Sum(index) != cas.Digest(trailer[24:]) {
		return nil, errCache
	}
	c := &cacheFile{r: r, table: index[:rows*uint64(rowSize)]}
	index = index[len(c.table):rest]
	c.paths = index[:paths]
	if !c.sound(tableAt) || !c.parseWholes(index[paths:]) {
		return nil, errCache
	}
	return c, nil
}

func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return cmp.Or(err, io.ErrUnexpectedEOF)
}

// sound reports whether every row has a path of its own and a place before the table.
func (c *cacheFile) sound(tableAt uint64) bool {
	end, last := uint32(0), []byte(nil)
	for i := range c.len() {
		at, size := c.place(i)
		next := binary.LittleEndian.Uint32(c.row(i)[16:])
		if at < uint64(len(cacheHeader)) || at > tableAt || size > tableAt-at || next < end || int64(next) > int64(len(c.paths)) {
			return false
		}
		path := c.paths[end:next]
		if i > 0 && bytes.Compare(last, path) >= 0 {
			return false
		}
		end, last = next, path
	}
	return true
}

func (c *cacheFile) parseWholes(b []byte) bool {
	c.wholes = map[string]whole{}
	r := reader{b: b}
	for len(r.b) > 0 {
		path := string(r.take(r.uvarint()))
		var w whole
		copy(w.digest[:], r.take(uint64(len(w.digest))))
		copy(w.fingerprint[:], r.take(uint64(len(w.fingerprint))))
		w.size, w.files = int64(r.uvarint()), int64(r.uvarint())
		c.wholes[path] = w
	}
	return !r.bad
}

func appendWhole(b []byte, path string, w whole) []byte {
	b = binary.AppendUvarint(b, uint64(len(path)))
	b = append(b, path...)
	b = append(b, w.digest[:]...)
	b = append(b, w.fingerprint[:]...)
	b = binary.AppendUvarint(b, uint64(w.size))
	return binary.AppendUvarint(b, uint64(w.files))
}

// reader takes fields off the front of b; a short b makes it bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
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

func (c *cacheFile) close() {
	if c != nil && c.f != nil {
		c.f.Close()
	}
}

func (c *cacheFile) len() int {
	if c == nil {
		return 0
	}
	return len(c.table) / rowSize
}

func (c *cacheFile) row(i int) []byte { return c.table[i*rowSize : (i+1)*rowSize] }

// place returns where block i begins and how many bytes it has.
func (c *cacheFile) place(i int) (at, size uint64) {
	r := c.row(i)
	return binary.LittleEndian.Uint64(r), uint64(c.records(i))*uint64(recordSize) + uint64(binary.LittleEndian.Uint32(r[12:]))
}

func (c *cacheFile) records(i int) uint32 { return binary.LittleEndian.Uint32(c.row(i)[8:]) }

func (c *cacheFile) sum(i int) cas.Digest { return cas.Digest(c.row(i)[24:]) }

func (c *cacheFile) path(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = binary.LittleEndian.Uint32(c.row(i - 1)[16:])
	}
	return c.paths[start:binary.LittleEndian.Uint32(c.row(i)[16:])]
}

// search returns the first row whose path is not less than the one given.
func (c *cacheFile) search(path string) int {
	low, high := 0, c.len()
	for low < high {
		middle := (low + high) / 2
		if string(c.path(middle)) < path {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// block returns the block of a folder, or nil if there is no sound one.
func (c *cacheFile) block(dir string) *block {
	i := c.search(dir)
	if i == c.len() || string(c.path(i)) != dir {
		return nil
	}
	at, size := c.place(i)
	data := make([]byte, size)
	if readAt(c.r, data, int64(at)) != nil || cas.Sum(data) != c.sum(i) {
		return nil
	}
	split := int(c.records(i)) * recordSize
	b := &block{records: data[:split:split], names: data[split:], check: c.sum(i)}
	if !b.sound() {
		return nil
	}
	return b
}

// has reports whether the file has b as the block of a folder.
func (c *cacheFile) has(dir string, b *block) bool {
	i := c.search(dir)
	return i < c.len() && string(c.path(i)) == dir && c.sum(i) == b.check
}

// dirBlock is the block of a folder; nil takes it out of the file.
type dirBlock struct {
	dir   string
	block *block
}

// writeCacheFile replaces the stat cache by one that has the blocks of old, but
// for those of changed, which is sorted. What somebody else wrote since old was
// opened is lost, which costs time and nothing else.
func writeCacheFile(name string, old *cacheFile, changed []dirBlock, wholes map[string]whole) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".index-*")
	if err != nil {
		return err
	}
	w := &cacheWriter{w: bufio.NewWriterSize(tmp, 256<<10)}
	err = errors.Join(w.write(old, changed, wholes), tmp.Close())
	if err == nil {
		old.close() // no file can be replaced on Windows while it is open
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

type cacheWriter struct {
	w            *bufio.Writer
	at           uint64
	table, paths []byte
}

func (w *cacheWriter) write(old *cacheFile, changed []dirBlock, wholes map[string]whole) error {
	w.at = uint64(len(cacheHeader))
	if _, err := w.w.WriteString(cacheHeader); err != nil {
		return err
	}
	i := 0
	for _, c := range changed {
		next := old.search(c.dir)
		if err := w.copy(old, i, next); err != nil {
			return err
		}
		if i = next; i < old.len() && string(old.path(i)) == c.dir {
			i++
		}
		if err := w.add(c.dir, c.block); err != nil {
			return err
		}
	}
	if err := w.copy(old, i, old.len()); err != nil {
		return err
	}
	return w.finish(wholes)
}

// copy takes over the rows from start to end, which are one run of the old file.
func (w *cacheWriter) copy(old *cacheFile, start, end int) error {
	if start >= end {
		return nil
	}
	first, _ := old.place(start)
	at := first
	for i := start; i < end; i++ {
		from, size := old.place(i)
		if from != at {
			return errCache
		}
		at += size
		w.row(string(old.path(i)), w.at+from-first, old.row(i)[8:16], old.sum(i))
	}
	n, err := io.Copy(w.w, io.NewSectionReader(old.r, int64(first), int64(at-first)))
	if err == nil && n < int64(at-first) {
		err = io.ErrUnexpectedEOF
	}
	w.at += at - first
	return err
}

func (w *cacheWriter) add(dir string, b *block) error {
	if b == nil {
		return nil
	}
	counts := binary.LittleEndian.AppendUint32(nil, uint32(b.len()))
	counts = binary.LittleEndian.AppendUint32(counts, uint32(len(b.names)))
	sum := b.check
	if sum.IsZero() {
		sum = b.sum()
	}
	w.row(dir, w.at, counts, sum)
	w.at += uint64(len(b.records) + len(b.names))
	if _, err := w.w.Write(b.records); err != nil {
		return err
	}
	_, err := w.w.Write(b.names)
	return err
}

func (w *cacheWriter) row(dir string, at uint64, counts []byte, sum cas.Digest) {
	w.paths = append(w.paths, dir...)
	w.table = binary.LittleEndian.AppendUint64(w.table, at)
	w.table = append(w.table, counts...)
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(w.paths)))
	w.table = binary.LittleEndian.AppendUint32(w.table, 0)
	w.table = append(w.table, sum[:]...)
}

func (w *cacheWriter) finish(wholes map[string]whole) error {
	if len(w.paths) > math.MaxUint32 {
		return errors.New("the stat cache is too large")
	}
	index := w.table
	rows, paths := len(w.table)/rowSize, len(w.paths)
	index = append(index, w.paths...)
	for _, path := range slices.Sorted(maps.Keys(wholes)) {
		index = appendWhole(index, path, wholes[path])
	}
	index = binary.LittleEndian.AppendUint64(index, w.at)
	index = binary.LittleEndian.AppendUint64(index, uint64(rows))
	index = binary.LittleEndian.AppendUint64(index, uint64(paths))
	sum := cas.Sum(index)
	if _, err := w.w.Write(append(index, sum[:]...)); err != nil {
		return err
	}
	return w.w.Flush()
}
