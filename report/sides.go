package report

import (
	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/lockfile"
)

type artifactJSON struct {
	Path       string     `json:"path"`
	Hash       cas.Digest `json:"hash"`
	Size       int64      `json:"size"`
	Files      *int64     `json:"files,omitempty"`
	Executable bool       `json:"executable,omitempty"`
}

type inputJSON struct {
	Hash  cas.Digest `json:"hash"`
	Size  *int64     `json:"size,omitempty"`
	Files *int64     `json:"files,omitempty"`
}

type fileJSON struct {
	Hash cas.Digest `json:"hash"`
	Size int64      `json:"size"`
}

// Side returns what our JSON has for an entry of a lock: an object for an
// artifact, an input and a file of a folder, the text of a digest, or the value
// itself. Nil stays nil.
func Side(entry any) any {
	switch v := entry.(type) {
	case *lockfile.Artifact:
		j := artifactJSON{Path: v.Path, Hash: v.Hash, Size: v.Size, Executable: v.Executable}
		if v.Folder {
			j.Files = &v.Files
		}
		return j
	case *lockfile.Input:
		j := inputJSON{Hash: v.Hash}
		if v.Sized {
			j.Size = &v.Size
		}
		if v.Folder {
			j.Files = &v.Files
		}
		return j
	case *cas.Entry:
		return fileJSON{v.Digest, v.Size}
	}
	return core.JSONValue(entry)
}

// Sides returns Side of each entry.
func Sides[E any](entries map[string]E) map[string]any {
	sides := map[string]any{}
	for name, e := range entries {
		sides[name] = Side(e)
	}
	return sides
}
