package codec

import (
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// window is the largest that an encoder uses and a decoder accepts. Groups are smaller,
// so that each is one segment.
const window = 8 << 20

// The coders are made when they are first used: making one costs some microseconds and
// a megabyte, which most commands need not pay.
var (
	// One large file is worth the time that finding what repeats after four bytes
	// takes. Many small files are not: theirs is the time that people wait for.
	goodEncoders = encoders(zstd.SpeedDefault, window)
	fastEncoders = encoders(zstd.SpeedFastest, window)
	zstdDecoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(window),
			zstd.WithDecodeAllCapLimit(true)) // nothing is allocated for a size that a frame claims
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	}}
)

func encoders(level zstd.EncoderLevel, window int) *sync.Pool {
	return &sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(level),
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(window),
			zstd.WithEncoderCRC(false)) // the pack has one, and the content a hash
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	}}
}

func appendZstd(b, plain []byte, pool *sync.Pool) []byte {
	e := pool.Get().(*zstd.Encoder)
	defer pool.Put(e)
	return e.EncodeAll(plain, b)
}

var errFrame = errors.New("its frame has another size")

func decodeZstd(stored, plain []byte) error {
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	got, err := d.DecodeAll(stored, plain[:0:len(plain)])
	if err != nil {
		return err
	}
	if len(got) != len(plain) || len(got) > 0 && &got[0] != &plain[0] {
		return errFrame
	}
	return nil
}
