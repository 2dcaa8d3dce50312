//go:build !unix

package core

import "strings"

func isCrossDevice(err error) bool {
	return err != nil && strings.Contains(err.Error(), "different disk drive")
}

func syncDir(string) error { return nil }
