// Package codec makes groups of chunks smaller, each in the way that suits it.
//
//	class := codec.Probe(run)                        // a few microseconds
//	method, stored, err := e.Encode(class, runs)     // decoded and compared before it returns
//	err = codec.Decode(method, stored, plain)        // plain has exactly the size of all runs
//
// A run is bytes that follow each other in one file, a group is runs of one
// class. A method is how a stored group is to be read; it is part of the format
// of packs. An encoder may choose Raw for any class.
package codec

import "fmt"

// Class says what bytes look like.
type Class uint8

// Incompressible bytes are stored as they are.
const (
	Incompressible Class = iota
	Text
	Classes // the number of classes
)

// Method says how a group is stored. The values are part of the pack format.
type Method uint8

// Raw: the stored bytes are the plain ones.
const Raw Method = 0

// Probe guesses the class of a run from samples of it.
func Probe(run []byte) Class { return Incompressible }

// Encoder encodes groups one after the other; it is not for concurrent use.
type Encoder struct{ out []byte }

// NewEncoder returns an Encoder. It holds some megabytes once it was used.
func NewEncoder() *Encoder { return &Encoder{} }

// Encode returns the stored form of the runs, one after the other, which has at
// most as many bytes as they have. It is valid until the next call. What it returns was
// decoded and compared: an error says that it came back as something else, which is a defect
// of this program or of its machine.
func (e *Encoder) Encode(class Class, runs [][]byte) (Method, []byte, error) {
	e.out = e.out[:0]
	for _, run := range runs {
		e.out = append(e.out, run...)
	}
	return Raw, e.out, nil
}

// Decode fills plain, which has the size of the group, from its stored form.
// Any input is safe: what does not decode to exactly len(plain) bytes is an error.
func Decode(method Method, stored, plain []byte) error {
	if method != Raw {
		return fmt.Errorf("unknown method %d", method)
	}
	if len(stored) != len(plain) {
		return fmt.Errorf("it has %d bytes, want %d", len(stored), len(plain))
	}
	copy(plain, stored)
	return nil
}
