package codec

import (
	"errors"

	"github.com/klauspost/compress/zstd"

	"github.com/kept-dev/kept/internal/reuse"
)

const (
	// farWindow is the window of encoders: groups are smaller, so that each is one segment and
	// matches may lie anywhere in it. An encoder has memory for two windows.
	farWindow = 1 << 20
	// maxWindow is the largest that a decoder accepts.
	maxWindow = 8 << 20
)

// The coders are made when they are first used: making one costs some microseconds and
// megabytes, which most commands need not pay.
var (
	// One large file is worth the time that finding what repeats after four bytes
	// takes. Many small files are not: theirs is the time that people wait for.
	goodEncoders = encoders(zstd.SpeedDefault, farWindow)
	fastEncoders = encoders(zstd.SpeedFastest, farWindow)
	zstdDecoders = reuse.Stack[*zstd.Decoder]{New: func() *zstd.Decoder {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecodeAllCapLimit(true)) // nothing is allocated for a size that a frame claims
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	}}
)

func encoders(level zstd.EncoderLevel, window int) *reuse.Stack[*zstd.Encoder] {
	return &reuse.Stack[*zstd.Encoder]{New: func() *zstd.Encoder {
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

func appendZstd(b, plain []byte, from *reuse.Stack[*zstd.Encoder]) []byte {
	e := from.Get()
	defer from.Put(e)
	return e.EncodeAll(plain, b)
}

var errFrame = errors.New("its frame has another size")

func decodeZstd(stored, plain []byte) error {
	d := zstdDecoders.Get()
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
