package disk

import "io"

// readAll is Map where there is no view of the disk.
func readAll(r io.ReaderAt, size int64) ([]byte, func(), error) {
	b := make([]byte, size)
	if n, err := r.ReadAt(b, 0); err != nil && (err != io.EOF || int64(n) < size) {
		return nil, nil, err
	}
	return b, func() {}, nil
}
