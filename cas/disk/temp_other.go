//go:build !linux

package disk

func openTemp(dir string) (Temp, error) { return openNamedTemp(dir) }
