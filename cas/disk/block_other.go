//go:build !linux

package disk

import "os"

func writeBlock(f *os.File, p []byte, offset int64) (int, error) { return f.WriteAt(p, offset) }
