package cas

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A compressed object is a valid .zst file: a skippable frame that says how
// large the content and the file are, then one frame with the content.
//
//	4 bytes  0x184D2A50, little-endian: skippable frame, see RFC 8878 section 3.1.2
//	4 bytes  16
//	8 bytes  size of the content
//	8 bytes  size of this file
//	...      zstd frame
//
// The sizes are in front, because a stream is longer than we know until it
// ends, and because Stat and a check of a file that a crash cut short have to
// be cheap.
const (
	headerSize  = 24
	headerMagic = 0x184D2A50
)

// window bounds the memory of an encoder and of a decoder. A larger one gained
// nothing on text and weights.
const (
	window        = 1 << 20
	largestWindow = 8 << 20 // that a reader accepts
)

func appendHeader(b []byte, plain, stored int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, headerMagic)
	b = binary.LittleEndian.AppendUint32(b, headerSize-8)
	b = binary.LittleEndian.AppendUint64(b, uint64(plain))
	return binary.LittleEndian.AppendUint64(b, uint64(stored))
}

// errHeader and the like are what is wrong with a damaged file.
var errHeader = errors.New("its header is damaged")

// readHeader returns the size of the content of a compressed object whose
// file has the given size. The second error is one of the medium.
func readHeader(r io.ReaderAt, fileSize int64) (plain int64, damage, err error) {
	var b [headerSize]byte
	if fileSize < headerSize {
		return 0, fmt.Errorf("its file has %d bytes, less than a header", fileSize), nil
	}
	if n, err := r.ReadAt(b[:], 0); n < len(b) {
		if err == io.EOF {
			return 0, errHeader, nil
		}
		return 0, nil, err
	}
	plain = int64(binary.LittleEndian.Uint64(b[8:]))
	stored := int64(binary.LittleEndian.Uint64(b[16:]))
	switch {
	case binary.LittleEndian.Uint32(b[0:]) != headerMagic,
		binary.LittleEndian.Uint32(b[4:]) != headerSize-8,
		plain < 0:
		return 0, errHeader, nil
	case stored != fileSize:
		return 0, fmt.Errorf("its file has %d bytes, want %d", fileSize, stored), nil
	}
	return plain, nil, nil
}

// packer compresses one stream, unpacker decompresses one. Both work in the
// goroutine of their caller: parallel work is for callers who have several
// objects. The buffers are there because the coders write and read a few bytes
// at a time.
type (
	packer struct {
		zstd *zstd.Encoder
		out  *bufio.Writer
	}
	unpacker struct {
		zstd *zstd.Decoder
		in   *bufio.Reader
	}
)

var (
	packers = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.SpeedFastest), // 1.8 times the default's speed for the same ratio
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(window),
			zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return &packer{e, bufio.NewWriterSize(nil, blockSize)}
	}}
	unpackers = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(largestWindow),
			zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			panic(err) // the options are constants
		}
		return &unpacker{d, bufio.NewReaderSize(nil, 64<<10)}
	}}
)

// newPacker returns a packer of one stream to w, for release.
func newPacker(w io.Writer) *packer {
	p := packers.Get().(*packer)
	p.out.Reset(w)
	p.zstd.Reset(p.out)
	return p
}

func (p *packer) Write(b []byte) (int, error) { return p.zstd.Write(b) }

// Close ends the stream. Nothing is complete before.
func (p *packer) Close() error {
	if err := p.zstd.Close(); err != nil {
		return err
	}
	return p.out.Flush()
}

// release lets go of the stream, complete or not.
func (p *packer) release() {
	p.zstd.Reset(nil)
	p.out.Reset(nil)
	packers.Put(p)
}

// worth reports whether stored bytes are so much less than plain ones that
// decompressing them at every read is paid for: 2 %.
func worth(plain, stored int64) bool { return stored <= plain-plain/50 }

// compress returns the whole file of a compressed object.
func compress(content []byte) []byte {
	p := newPacker(nil)
	defer p.release()
	b := p.zstd.EncodeAll(content, make([]byte, headerSize, headerSize+len(content)/2))
	appendHeader(b[:0], int64(len(content)), int64(len(b)))
	return b
}

// compresses reports whether it is worth compressing what b is a sample of.
func compresses(b []byte) bool {
	p := newPacker(nil)
	defer p.release()
	return worth(int64(len(b)), int64(len(p.zstd.EncodeAll(b, nil))))
}

// plainReader reads the content of a stored file, unverified.
type plainReader struct {
	src      *source
	unpacker *unpacker // nil: the file is the content
}

// source reads a file from its beginning and remembers an error of the medium.
type source struct {
	*io.SectionReader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// newPlainReader reads the stored bytes of r from offset 0 to size.
func newPlainReader(r io.ReaderAt, size int64, compressed bool) *plainReader {
	p := &plainReader{src: &source{SectionReader: io.NewSectionReader(r, 0, size)}}
	if compressed {
		_, _ = p.src.Seek(headerSize, io.SeekStart) // of a section, it cannot fail
		p.unpacker = unpackers.Get().(*unpacker)
		p.unpacker.in.Reset(p.src)
		_ = p.unpacker.zstd.Reset(p.unpacker.in) // an error comes back from Read
	}
	return p
}

func (p *plainReader) Read(b []byte) (int, error) {
	if p.unpacker != nil {
		return p.unpacker.zstd.Read(b)
	}
	return p.src.Read(b)
}

// failed returns the error of the medium, if there was one.
func (p *plainReader) failed() error { return p.src.err }

// Close lets go of the file, which it does not close. Nothing can be read
// after it, and it may be called twice.
func (p *plainReader) Close() error {
	if u := p.unpacker; u != nil {
		_ = u.zstd.Reset(nil)
		u.in.Reset(nil)
		unpackers.Put(u)
		p.unpacker = nil
	}
	p.src.SectionReader = io.NewSectionReader(nil, 0, 0)
	return nil
}
