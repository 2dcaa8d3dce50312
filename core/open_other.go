//go:build !unix

package core

import "os"

func openNow(path string) (*os.File, error) { return os.Open(path) }
