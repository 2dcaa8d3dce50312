//go:build !linux && !darwin

package workspace

import "io/fs"

func statOf(info fs.FileInfo) stat {
	return stat{size: info.Size(), mtime: info.ModTime().UnixNano(), mode: info.Mode()}
}
