//go:build !linux

package disk

import "os"

func flush(*os.File, int64, int64) {}
