package cas

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/cas/pack"
)

// errRoot reports bytes that are not a root.
var errRoot = errors.New("not a root")

const (
	rootHeader = "kept root 1\n"
	rootEnd    = "end "
	// maxRoot bounds what is read of a root: packs for ten terabytes.
	maxRoot = 16 << 20
	// maxTable bounds the table of a pack on a remote, and maxPack the pack: far more
	// than any that is written.
	maxTable = 64 << 20
	maxPack  = 1 << 40
)

// root says which packs of a remote have, together, all that an object needs.
type root struct {
	of    Wanted
	packs []packRef // sorted by name, each once
}

// packRef is a pack as a root names it.
type packRef struct {
	name pack.Name
	// size is that of the file, and table that of the table in it, in bytes.
	size, table int64
}

func refOf(t *pack.Table) packRef {
	return packRef{name: t.Name(), size: t.PackSize(), table: int64(len(t.Bytes()))}
}

func byName(a, b packRef) int { return bytes.Compare(a.name[:], b.name[:]) }

// packFile and rootFile are the names of files on a remote.
func packFile(name pack.Name) string { return "packs/" + name.String() + ".pack" }
func rootFile(d Digest) string       { return "roots/" + d.Hex() }

func kindOf(w Wanted) string {
	if w.Folder {
		return "folder"
	}
	return "file"
}

// marshal returns the one form of a root.
func (r *root) marshal() []byte {
	slices.SortFunc(r.packs, byName)
	b := []byte(rootHeader)
	b = fmt.Appendf(b, "object %s %s\n", r.of.Digest, kindOf(r.of))
	for _, p := range r.packs {
		b = fmt.Appendf(b, "pack %s %d %d\n", p.name, p.size, p.table)
	}
	return fmt.Appendf(b, "%s%s\n", rootEnd, Sum(b).Hex())
}

// parseRoot reads what marshal writes for an object, and nothing else.
func parseRoot(b []byte, d Digest) (*root, error) {
	if len(b) > maxRoot {
		return nil, fmt.Errorf("%w: it has more than %d bytes", errRoot, maxRoot)
	}
	body, ok := bytes.CutPrefix(b, []byte(rootHeader))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q", errRoot, strings.TrimSpace(rootHeader))
	}
	end := len(rootEnd) + 2*len(Digest{}) + 1
	if len(body) < end {
		return nil, fmt.Errorf("%w: it is cut short", errRoot)
	}
	if last := fmt.Sprintf("%s%s\n", rootEnd, Sum(b[:len(b)-end]).Hex()); string(b[len(b)-end:]) != last {
		return nil, fmt.Errorf("%w: its end does not fit what is before it", errRoot)
	}
	lines := strings.SplitAfter(string(body[:len(body)-end]), "\n")
	r := &root{of: Wanted{Digest: d}}
	switch lines[0] {
	case "object " + d.String() + " file\n":
	case "object " + d.String() + " folder\n":
		r.of.Folder = true
	default:
		return nil, fmt.Errorf("%w: it is not that of object %s", errRoot, d)
	}
	for _, line := range lines[1 : len(lines)-1] {
		p, err := parsePackRef(line)
		if err != nil {
			return nil, err
		}
		if n := len(r.packs); n > 0 && byName(r.packs[n-1], p) >= 0 {
			return nil, fmt.Errorf("%w: its packs are not in order", errRoot)
		}
		r.packs = append(r.packs, p)
	}
	if len(r.packs) == 0 {
		return nil, fmt.Errorf("%w: it lists no pack", errRoot)
	}
	if lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("%w: a line of it has no end", errRoot)
	}
	return r, nil
}

// parsePackRef reads "pack <64 hex> <size> <table size>".
func parsePackRef(line string) (packRef, error) {
	words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(words) != 4 || words[0] != "pack" {
		return packRef{}, fmt.Errorf("%w: %q is no line of it", errRoot, clip(line))
	}
	name, err := pack.ParseName(words[1])
	if err != nil {
		return packRef{}, fmt.Errorf("%w: %w", errRoot, err)
	}
	p := packRef{name: name}
	if p.size, err = parseSize(words[2], maxPack); err == nil {
		p.table, err = parseSize(words[3], maxTable)
	}
	if err != nil {
		return packRef{}, err
	}
	if pack.EndSize(p.table) > p.size {
		return packRef{}, fmt.Errorf("%w: pack %.10s has %d bytes, and a table of %d", errRoot, name, p.size, p.table)
	}
	return p, nil
}

// parseSize reads a number as it is written, and no other way.
func parseSize(s string, most int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > most || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w: %q is no size", errRoot, clip(s))
	}
	return n, nil
}
