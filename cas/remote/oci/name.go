package oci

import (
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// slash stands for "/" in a tag, which can't have one. Names have no capital letters,
// so nothing else becomes it.
const slash = "Z"

// tag returns the tag under which the file called name is kept. As names are of
// at most 100 bytes, it is short enough for one.
func tag(name string) string { return strings.ReplaceAll(name, "/", slash) }

// name returns the name that tag is for, and whether it is for one.
func name(tag string) (string, bool) {
	name := strings.ReplaceAll(tag, slash, "/")
	return name, !strings.Contains(tag, "/") && remote.CheckName(name) == nil
}
