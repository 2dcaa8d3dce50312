package workspace

// listing is the names in one folder, in the order in which the file system has them.
type listing struct {
	names  []byte
	ends   []uint32
	kinds  []kind
	buffer []byte // for the system's own records
}

// kind is what the file system says of a name without a look at the file.
type kind byte

const (
	unknownKind kind = iota
	folderKind
	otherKind
)

func (l *listing) reset() { l.names, l.ends, l.kinds = l.names[:0], l.ends[:0], l.kinds[:0] }

func (l *listing) len() int { return len(l.ends) }

func (l *listing) name(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.names[start:l.ends[i]]
}

func (l *listing) add(name []byte, k kind) {
	if string(name) == "." || string(name) == ".." {
		return
	}
	l.names = append(l.names, name...)
	l.ends = append(l.ends, uint32(len(l.names)))
	l.kinds = append(l.kinds, k)
}
