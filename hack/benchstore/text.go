package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// sales returns the lines of an endless CSV file without its header: sales of
// shops, in the order of time.
func sales(seed uint64) *stream {
	random := rand.New(rand.NewPCG(seed, 1))
	cents := rand.NewZipf(random, 1.3, 40, 99_999)
	products := rand.NewZipf(random, 1.2, 20, 20_000)
	payments := []string{"card", "cash", "card", "voucher", "card", "transfer"}
	at := time.Date(2025, 1, 1, 6, 0, 0, 0, time.UTC)
	return &stream{next: func(b []byte) []byte {
		at = at.Add(time.Duration(random.IntN(40)) * time.Second)
		b = at.AppendFormat(b, time.DateTime)
		b = fmt.Appendf(b, ",shop-%03d,P%05d,%d,", random.IntN(400), products.Uint64(), 1+random.IntN(9)*random.IntN(2))
		b = strconv.AppendFloat(b, float64(199+cents.Uint64())/100, 'f', 2, 64)
		return append(append(append(b, ','), payments[random.IntN(len(payments))]...), '\n')
	}}
}

// salesHeader names the columns of sales.
const salesHeader = "time,shop,product,count,price,payment\n"

// reviews returns endless lines of a rating and words with the frequencies of a
// natural language, of 8,000 invented ones.
func reviews(seed uint64) *stream {
	random := rand.New(rand.NewPCG(seed, 2))
	rank := rand.NewZipf(random, 1.1, 2.7, 7999)
	words := make([]string, 8000)
	for i := range words {
		for range 1 + random.IntN(2) + random.IntN(1+i/1000) {
			words[i] += []string{"b", "d", "f", "g", "l", "m", "n", "p", "r", "s", "st", "t", "th", "w"}[random.IntN(14)] +
				[]string{"a", "e", "i", "o", "u", "ea", "er", "in"}[random.IntN(8)]
		}
	}
	return &stream{next: func(b []byte) []byte {
		b = append(b, '1'+byte(random.IntN(5)), '\t')
		for range 20 + random.IntN(180) {
			b = append(append(b, words[rank.Uint64()]...), ' ')
		}
		b[len(b)-1] = '\n'
		return b
	}}
}

// noise returns endless bytes that no compression makes smaller.
func noise(seed uint64) io.Reader {
	var key [32]byte
	copy(key[:], strconv.FormatUint(seed, 10))
	return rand.NewChaCha8(key)
}

// zeros is endless zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// writeStream writes the first size bytes of r after a header.
func writeStream(name, header string, r io.Reader, size int64) error {
	return create(name, func(w *bufio.Writer) error {
		if _, err := w.WriteString(header); err != nil {
			return err
		}
		return copyN(w, r, size-int64(len(header)))
	})
}

// writeMembers writes gzip members of 64 KiB of text each, size bytes or a little more.
func writeMembers(name string, size int64) error {
	return create(name, func(w *bufio.Writer) error {
		text := sales(3)
		count := &counter{w: w}
		for count.n < size {
			z := gzip.NewWriter(count)
			if err := copyN(z, text, 64<<10); err != nil {
				return err
			}
			if err := z.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
