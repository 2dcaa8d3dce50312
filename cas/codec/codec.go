// Package codec makes groups of chunks smaller, each in the way that suits it.
//
//	class := codec.Probe(run)                           // a few microseconds
//	method, stored, err := e.Encode(class, plain, ends) // decoded and compared before it returns
//	err = codec.Decode(method, stored, plain)           // plain has exactly the size of all runs
//
// A run is bytes that follow each other in one file, a group is runs of one
// class. A method is how a stored group is to be read; it is part of the format
// of packs, see docs/spec/store.md. A class is what this version takes bytes for and
// is written nowhere: an encoder may choose any method for any class, and it chooses Raw
// where no other one makes the group at least 2 % smaller.
//
// Text, and whatever repeats itself, is compressed with Zstandard. That finds nothing in an
// array of floating-point numbers, whose mantissas are noise: there it is the byte of each
// value that holds the exponent, its lane, that has few values, so the Planes method
// takes such lanes out and codes them with Huffman's codes.
package codec

import (
	"bytes"
	"errors"
	"fmt"
)

// Class says what bytes look like. Runs of one class belong in one group.
type Class uint8

// The classes.
const (
	Incompressible Class = iota // compressed before, or noise
	Text                        // repeats itself as text does
	Values1                     // bytes, not evenly spread: quantised weights, pixels, zeros
	Values2                     // an array of values of two bytes, such as float16 and bfloat16
	Values4                     // of four bytes, such as float32 and int32
	Values8                     // of eight bytes, such as float64 and int64
	Near                        // text in which only what is near is worth finding, see Nearness
	Classes                     // the number of classes
)

// stride is the size of a value, 0 where a class is not one of values.
func (c Class) stride() int {
	if c < Values1 || c > Values8 {
		return 0
	}
	return 1 << (c - Values1)
}

// Method says how a group is stored. The values are part of the pack format.
type Method uint8

// The methods.
const (
	Raw    Method = 0 // the stored bytes are the plain ones
	Zstd   Method = 1 // one Zstandard frame
	Planes Method = 2 // some bytes of every value coded by themselves, see planes.go
)

// Encoder encodes groups one after the other; it is not for concurrent use.
type Encoder struct {
	out, check    []byte
	planes, trial planesEncoder

	// decode is Decode, or what a test puts in its place.
	decode func(method Method, stored, plain []byte) error
}

// NewEncoder returns an Encoder. It holds some megabytes once it was used.
func NewEncoder() *Encoder { return &Encoder{decode: Decode} }

// Encode returns the stored form of plain, which has at most as many bytes. plain is runs, one
// after the other; ends says where in it each ends, the last one at len(plain). What is returned is
// valid until the next call and as long as plain is left alone, which it may be. It was
// decoded and compared: an error says that it came back as something else, which is a defect
// of this program or of its machine.
func (e *Encoder) Encode(class Class, plain []byte, ends []int) (Method, []byte, error) {
	method := e.encode(class, plain, ends)
	if method == Raw || !worth(len(plain), len(e.out)) {
		return Raw, plain, nil
	}
	if err := e.verify(method, plain); err != nil {
		return 0, nil, fmt.Errorf("verify a group of class %d and method %d: %w", class, method, err)
	}
	return method, e.out, nil
}

// worth reports whether stored bytes are so much less than plain ones that
// decoding them at every read is paid for: 2 %.
func worth(plain, stored int) bool { return stored <= plain-plain/50 && stored < plain }

// encode writes e.out in the best method for the class. Raw leaves it undefined.
func (e *Encoder) encode(class Class, plain []byte, ends []int) Method {
	switch class {
	case Text:
		return e.zstd(plain, len(ends))
	case Near:
		e.out = appendZstd(e.out[:0], plain, nearEncoders)
		return Zstd
	}
	if class.stride() == 0 {
		return Raw
	}
	e.planes.prepare(class.stride(), plain, ends)
	if e.planes.mayRepeat() && e.zstdIsSmaller(plain) {
		return e.zstd(plain, len(ends))
	}
	if e.planes.mask == 0 {
		return Raw
	}
	e.out = e.planes.append(e.out[:0], plain)
	return Planes
}

func (e *Encoder) zstd(plain []byte, runs int) Method {
	from := goodEncoders
	if runs > 1 {
		from = fastEncoders
	}
	e.out = appendZstd(e.out[:0], plain, from)
	return Zstd
}

var errDiffers = errors.New("its stored form decodes to something else")

func (e *Encoder) verify(method Method, plain []byte) error {
	if cap(e.check) < len(plain) {
		e.check = make([]byte, len(plain))
	}
	got := e.check[:len(plain)]
	if err := e.decode(method, e.out, got); err != nil {
		return err
	}
	if !bytes.Equal(plain, got) {
		return errDiffers
	}
	return nil
}

// ErrMethod reports a group that a newer version of this program encoded: it is
// not damaged, but cannot be read.
var ErrMethod = errors.New("it is encoded in a way that this version of kept does not know")

// Decode fills plain, which has the size of the group, from its stored form.
// Any input is safe: what does not decode to exactly len(plain) bytes is an error. It may be
// called from many goroutines.
func Decode(method Method, stored, plain []byte) error {
	switch method {
	case Raw:
		if len(stored) != len(plain) {
			return fmt.Errorf("it has %d bytes, want %d", len(stored), len(plain))
		}
		copy(plain, stored)
		return nil
	case Zstd:
		return decodeZstd(stored, plain)
	case Planes:
		return decodePlanes(stored, plain)
	}
	return fmt.Errorf("%w: %d", ErrMethod, method)
}

// trialSize is how much of a group is tried.
const trialSize = 64 << 10

// zstdIsSmaller tries both methods on a part of the group.
func (e *Encoder) zstdIsSmaller(plain []byte) bool {
	n := len(plain)
	if n > trialSize {
		at := (n - trialSize) / 2
		plain = plain[at : at+trialSize]
	}
	p := &e.trial
	p.prepare(e.planes.stride, plain, []int{len(plain)})
	if p.mask != 0 {
		e.out = p.append(e.out[:0], plain)
		n = len(e.out)
	}
	e.out = appendZstd(e.out[:0], plain, fastEncoders)
	return len(e.out) < n-n/16
}
