package codec

import (
	"math"
	"sync"
)

// A probe looks at a sample: pieces spread over a run, each at a multiple of 8
// bytes from its beginning, so that a byte of the sample is in the lane that it has in the run.
const (
	sampleSize = 2 << 10
	pieceSize  = 128
)

// lanes counts the bytes of a sample by value and by position modulo 8.
type lanes struct {
	counts [256][8]uint16
	n      [4][8]int // bytes in lane i of stride 1<<k
}

func (l *lanes) sample(run []byte) {
	if len(run) <= sampleSize {
		l.add(run)
		return
	}
	const pieces = sampleSize / pieceSize
	step := (len(run) - pieceSize) / (pieces - 1) &^ 7
	for i := range pieces {
		l.add(run[i*step:][:pieceSize])
	}
}

func (l *lanes) add(b []byte) {
	for i := range 8 {
		for k := range l.n {
			l.n[k][i&(1<<k-1)] += (len(b) + 7 - i) / 8
		}
	}
	c := &l.counts
	for ; len(b) >= 8; b = b[8:] {
		w := le.Uint64(b)
		c[uint8(w)][0]++
		c[uint8(w>>8)][1]++
		c[uint8(w>>16)][2]++
		c[uint8(w>>24)][3]++
		c[uint8(w>>32)][4]++
		c[uint8(w>>40)][5]++
		c[uint8(w>>48)][6]++
		c[w>>56][7]++
	}
	for i, v := range b {
		c[v][i]++
	}
}

// A spread says how evenly the bytes of a lane are spread over their 256 values, in
// two measures that are summed over the values and, to be looked up at once, in the two halves of one number.
// The low one is the entropy: n·log2 n for each count, scaled. The high one is how many pairs of
// bytes are equal.
type spread int64

const scale = 1 << 10

// entropy is signed, since it has a share of the correction.
func (s spread) entropy() int { return int(int32(s)) }
func (s spread) pairs() int   { return int((s - spread(int32(s))) >> 32) }

// spreads is what a value with n bytes in a sample adds. That a sample has too few bytes to see all values
// makes its entropy too low, by half a nat for each value but one, as Miller and Madow say.
var spreads = sync.OnceValue(func() *[sampleSize + 1]spread {
	var t [sampleSize + 1]spread
	for n := 1; n < len(t); n++ {
		entropy := float64(n)*math.Log2(float64(n)) - math.Log2E/2
		t[n] = spread(n*(n-1))<<32 + spread(entropy*scale)
	}
	return &t
})

// measures are the spreads of lane i of stride 1<<k.
type measures [4][8]spread

func (l *lanes) measure() (m measures) {
	t := spreads()
	for v := range l.counts {
		row := &l.counts[v]
		a, b, c, d := row[0], row[1], row[2], row[3]
		e, f, g, h := row[4], row[5], row[6], row[7]
		m[3][0] += t[a]
		m[3][1] += t[b]
		m[3][2] += t[c]
		m[3][3] += t[d]
		m[3][4] += t[e]
		m[3][5] += t[f]
		m[3][6] += t[g]
		m[3][7] += t[h]
		a, b, c, d = a+e, b+f, c+g, d+h
		m[2][0] += t[a]
		m[2][1] += t[b]
		m[2][2] += t[c]
		m[2][3] += t[d]
		a, b = a+c, b+d
		m[1][0] += t[a]
		m[1][1] += t[b]
		m[0][0] += t[a+b]
	}
	return m
}

// concentration estimates, for each lane of stride 1<<k, how probable it is
// that two of its bytes are equal: 1/256 for noise, 1 for a constant. Counting pairs is
// the one measure that a few hundred bytes estimate without a bias.
func (l *lanes) concentration(m *measures, k int) (c [8]float64) {
	for i := range 1 << k {
		if n := l.n[k][i]; n > 1 {
			c[i] = float64(m[k][i].pairs()) / float64(n*(n-1))
		}
	}
	return c
}

// entropy estimates the bits per byte for the lanes of each stride 1<<k.
func (l *lanes) entropy(m *measures) (e [4]float64) {
	t := spreads()
	for k := range e {
		sum := 0
		for i := range 1 << k {
			sum += t[l.n[k][i]].entropy() - m[k][i].entropy()
		}
		e[k] = float64(sum) / scale / float64(max(1, l.n[0][0]))
	}
	return e
}

// uneven is the concentration from which coding a lane saves some 3 %.
const uneven = 1.4 / 256

// Probe guesses the class of a run from samples of it.
func Probe(run []byte) Class {
	var l lanes
	l.sample(run)
	if l.text() {
		return Text
	}
	m := l.measure()
	k := bestStride(l.entropy(&m))
	c := l.concentration(&m, k)
	for _, p := range c[:1<<k] {
		if p > uneven {
			return Values1 + Class(k)
		}
	}
	return Incompressible
}

// needed is how much less a stride's entropy must be than that of a shorter one.
// What the estimate hides of lanes with few bytes in the sample is less than this.
var needed = [4]float64{1, 0.03, 0.03, 0.055}

// bestStride returns the binary logarithm of the stride at which lanes differ most:
// the entropy of lanes taken by themselves is less than that of their mixture then.
func bestStride(e [4]float64) (best int) {
	for k := 1; k < len(e); k++ {
		if e[k] < e[best]*(1-needed[k]) {
			best = k
		}
	}
	return best
}

// text reports whether nearly all of the sample is printable ASCII.
func (l *lanes) text() bool {
	printable := 0
	for v, row := range l.counts[:0x7f] {
		if v >= ' ' || v == '\n' || v == '\r' || v == '\t' {
			for _, n := range row {
				printable += int(n)
			}
		}
	}
	return printable*20 >= l.n[0][0]*17
}
