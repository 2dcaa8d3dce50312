package disk

import "io/fs"

// Shared reports whether a folder is its group's: Windows inherits permissions.
func Shared(string) bool { return false }

func share(string, fs.FileMode) {}

// ShareFile does nothing, see Shared.
func ShareFile(string) {}
