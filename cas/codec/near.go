package codec

import (
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// nearWindow is how far back a match may lie in Near text.
const nearWindow = 64 << 10

// nearEncoders don't see what is far. In tables of numbers a few digits are found again
// everywhere, and to say that they are a long way back takes more bits than they have.
var nearEncoders = encoders(zstd.SpeedDefault, nearWindow)

const (
	// nearFirst is the number of the group of a file at which it is looked which of
	// Text and Near makes it smaller, and nearEvery is after how many it is again.
	nearFirst = 8
	nearEvery = 32
	// nearSample is how much of the group is tried.
	nearSample = 256 << 10
)

// Nearness finds out whether the text of one large file is Near: source code is a fifth
// larger that way, a table 1 to 2 % smaller, and only trying tells. The zero value is
// ready to use, also concurrently.
type Nearness struct {
	groups atomic.Uint32
	near   atomic.Bool
}

// Class returns the class of the next group of the file, which Probe took for Text.
func (n *Nearness) Class(text []byte) Class {
	if n.groups.Add(1)%nearEvery == nearFirst {
		sample := text[:min(len(text), nearSample)]
		far := len(appendZstd(nil, sample, goodEncoders))
		n.near.Store(len(appendZstd(nil, sample, nearEncoders)) < far)
	}
	if n.near.Load() {
		return Near
	}
	return Text
}
