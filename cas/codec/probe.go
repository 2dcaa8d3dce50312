package codec

import (
	"math"
	"sync"
)

// A probe looks at a sample: pieces spread over a run, each at a multiple of 8
// bytes from its beginning, so that a byte of the sample is in the lane that it has in the run.
const (
	sampleSize = 4 << 10
	pieceSize  = 256
)

// lanes counts the bytes of a sample by value and by position modulo 8.
type lanes struct {
	counts [8][256]uint16
	n      [8]int
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
	for ; len(b) >= 8; b = b[8:] {
		for i := range 8 {
			l.counts[i][b[i]]++
			l.n[i]++
		}
	}
	for i, c := range b {
		l.counts[i][c]++
		l.n[i]++
	}
}

// concentration estimates, for the lanes of each stride 1<<k, how probable it is
// that two bytes of a lane are equal: 1/256 for noise, 1 for a constant. Counting pairs is
// the one measure that a few hundred bytes estimate without a bias; an entropy would need all of
// the run. Lane i of stride 1<<k is in [k][i].
func (l *lanes) concentration() (c [4][8]float64) {
	var pairs [4][8]int
	for v := range 256 {
		var n [8]int
		for i := range n {
			n[i] = int(l.counts[i][v])
		}
		for k := 3; ; k-- {
			for i := range 1 << k {
				pairs[k][i] += n[i] * (n[i] - 1)
			}
			if k == 0 {
				break
			}
			for i := range 1 << (k - 1) {
				n[i] += n[i+1<<(k-1)]
			}
		}
	}
	for k := range c {
		for i := range 1 << k {
			n := 0
			for j := i; j < 8; j += 1 << k {
				n += l.n[j]
			}
			if n > 1 {
				c[k][i] = float64(pairs[k][i]) / float64(n*(n-1))
			}
		}
	}
	return c
}

// uneven is the concentration from which coding a lane saves some 3 %.
const uneven = 1.4 / 256

// Probe guesses the class of a run from samples of it.
func Probe(run []byte) Class {
	var l lanes
	l.sample(run)
	c := l.concentration()
	if l.text() {
		return Text
	}
	k := l.bestStride()
	for i := range 1 << k {
		if c[k][i] > uneven {
			return Values1 + Class(k)
		}
	}
	return Incompressible
}

// bestStride returns the binary logarithm of the stride at which lanes differ most:
// the entropy of lanes taken by themselves is less than that of their mixture then.
func (l *lanes) bestStride() (best int) {
	e := l.entropy()
	for k := range e {
		if e[k] < e[best]*0.97-0.12 {
			best = k
		}
	}
	return best
}

// entropy estimates the bits per byte for the lanes of each stride 1<<k. A sample has too
// few bytes to see all values: the estimate adds what that hides, by Miller and Madow.
func (l *lanes) entropy() (e [4]float64) {
	total := 0
	for _, n := range l.n {
		total += n
	}
	if total == 0 {
		return e
	}
	table := nlogn()
	sum := func(n int) int64 {
		if n < len(table) {
			return int64(table[n])
		}
		return scaled(n)
	}
	var seen [4]int
	var sums [4]int64
	for v := range 256 {
		var n [8]int
		for i := range n {
			n[i] = int(l.counts[i][v])
		}
		for k := 3; ; k-- {
			for i := range 1 << k {
				if n[i] > 0 {
					seen[k]++
					sums[k] -= sum(n[i])
				}
			}
			if k == 0 {
				break
			}
			for i := range 1 << (k - 1) {
				n[i] += n[i+1<<(k-1)]
			}
		}
	}
	for k := range e {
		for i := range 1 << k {
			n := 0
			for j := i; j < 8; j += 1 << k {
				n += l.n[j]
			}
			sums[k] += scaled(n)
		}
		hidden := float64(seen[k]-1<<k) / 2 * math.Log2E
		e[k] = (float64(sums[k])/scale + hidden) / float64(total)
	}
	return e
}

// scaled returns n·log2 n, of which there is a table for the counts that are common.
func scaled(n int) int64 {
	if n == 0 {
		return 0
	}
	return int64(float64(n) * math.Log2(float64(n)) * scale)
}

const scale = 1 << 10

var nlogn = sync.OnceValue(func() *[256]int32 {
	var t [256]int32
	for n := range t {
		t[n] = int32(scaled(n))
	}
	return &t
})

// text reports whether nearly all of the sample is printable ASCII.
func (l *lanes) text() bool {
	n, printable := 0, 0
	for i := range l.counts {
		n += l.n[i]
		for _, c := range l.counts[i][' ':0x7f] {
			printable += int(c)
		}
		printable += int(l.counts[i]['\n'] + l.counts[i]['\r'] + l.counts[i]['\t'])
	}
	return printable*20 >= n*17
}
