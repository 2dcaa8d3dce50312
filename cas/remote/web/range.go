package web

import (
	"fmt"
	"net/http"

	"github.com/kept-dev/kept/cas/remote"
)

// Range returns a header that asks for length bytes from offset on, or for all that
// follows where length is negative.
func Range(offset, length int64) (http.Header, error) {
	h := http.Header{}
	switch {
	case offset < 0:
		return nil, fmt.Errorf("offset %d", offset)
	case length > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	return h, nil
}

// CheckRange reports whether the answer has the bytes that were asked for, by what it says
// itself. It returns how many they are.
func CheckRange(resp *http.Response, offset, length int64) (int64, error) {
	if offset == 0 && length < 0 {
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("%w: status %d for the whole file", remote.ErrShort, resp.StatusCode)
		}
		if resp.ContentLength < 0 {
			return 0, fmt.Errorf("%w: the answer does not say how many", remote.ErrShort)
		}
		return resp.ContentLength, nil
	}
	return CheckContentRange(resp.StatusCode, resp.Header.Get("Content-Range"), offset, length)
}

// CheckContentRange is CheckRange for an answer to a request that had a Range.
func CheckContentRange(status int, text string, offset, length int64) (int64, error) {
	var first, last, total int64
	if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &first, &last, &total); err != nil || status != http.StatusPartialContent {
		return 0, fmt.Errorf("%w: status %d with range %q for a part of the file", remote.ErrShort, status, Line(text))
	}
	n := last - first + 1
	if first != offset || n <= 0 || length >= 0 && n != length || length < 0 && last != total-1 {
		return 0, fmt.Errorf("%w: range %q, want %d bytes from %d on", remote.ErrShort, Line(text), length, offset)
	}
	return n, nil
}
