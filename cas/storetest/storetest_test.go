package storetest

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/cas"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) cas.Store { return NewMemory() })
}

// A faulty store without faults is a store like any other.
func TestFaultyWithoutFaults(t *testing.T) {
	Run(t, func(*testing.T) cas.Store { return NewFaulty(NewMemory()) })
}

func TestFaultyOpen(t *testing.T) {
	content := Text(1, 100_000)
	for name, c := range map[string]struct {
		fault   Fault
		corrupt bool
		want    error
	}{
		"error":        {fault: Fault{After: 5000, Err: syscall.EIO}, want: syscall.EIO},
		"error at 0":   {fault: Fault{Err: io.ErrUnexpectedEOF}, want: io.ErrUnexpectedEOF},
		"flip":         {fault: Fault{After: 5000, Flip: true}, corrupt: true},
		"flip at 0":    {fault: Fault{Flip: true}, corrupt: true},
		"flip the end": {fault: Fault{After: 99_999, Flip: true}, corrupt: true},
		"short":        {fault: Fault{After: 99_999, Cut: true}, corrupt: true},
		"nothing":      {fault: Fault{Cut: true}, corrupt: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewFaulty(NewMemory())
			d := put(t, s, content)
			s.FailOpen(c.fault)
			_, err := cas.ReadAll(t.Context(), s, d, 1<<20)
			var corrupt *cas.CorruptError
			if errors.As(err, &corrupt) != c.corrupt || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("read gives %v", err)
			}
			if got := get(t, s, d); !bytes.Equal(got, content) {
				t.Error("the fault did not happen once only")
			}
		})
	}
}

func TestFaultyPut(t *testing.T) {
	m := NewMemory()
	s := NewFaulty(m)
	s.FailPut(Fault{After: 5000, Err: syscall.ENOSPC})
	_, _, err := s.Put(t.Context(), bytes.NewReader(Text(1, 100_000)))
	if !cas.IsDiskFull(err) || m.Len() != 0 {
		t.Errorf("Put = %v with %d objects stored", err, m.Len())
	}
	put(t, s, Text(1, 100_000))
}
