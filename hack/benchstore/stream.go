package main

// stream is an endless io.Reader of what next appends.
type stream struct {
	next func([]byte) []byte
	// rest is what is still to be read of buffer.
	rest, buffer []byte
}

func (s *stream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		s.buffer = s.buffer[:0]
		for len(s.buffer) < 64<<10 {
			s.buffer = s.next(s.buffer)
		}
		s.rest = s.buffer
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
