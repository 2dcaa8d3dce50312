//go:build !linux

package cas

func openTemp(dir string) (tempFile, error) { return openNamedTemp(dir) }
