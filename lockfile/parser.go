package lockfile

import (
	"bytes"
	"sync"
)

// Parser reads many versions of one lock. A stage whose block is byte for byte
// the same in several of them is read once and shared, so nobody may change the
// locks that it returns. The zero value is ready; it is safe for concurrent use.
type Parser struct {
	mu     sync.Mutex
	stages map[string]*Stage // by the text of the block
}

// Parse is the function Parse.
func (v *Parser) Parse(data []byte) (*Lock, error) {
	if len(data) <= MaxSize {
		if lock, ok := v.join(data); ok {
			return lock, nil
		}
	}
	return Parse(data)
}

// join reads a canonical lock block by block. Blocks that are canonical each,
// in canonical order, are a canonical lock. For everything else it reports false.
func (v *Parser) join(data []byte) (*Lock, bool) {
	head, rest := cutBlock(data)
	if len(rest) == 0 {
		return nil, false
	}
	lock, ok := parseCanonical(head)
	if !ok || len(lock.Stages) > 0 {
		return nil, false
	}
	last := ""
	for len(rest) > 0 {
		var block []byte
		block, rest = cutBlock(rest)
		header, _, _ := bytes.Cut(block, []byte("\n"))
		path, ok := readPath(make([]string, 0, 2), header[1:])
		if !ok || len(path) != 2 || path[1] <= last {
			return nil, false
		}
		last = path[1]
		if lock.Stages[last] = v.stage(last, block); lock.Stages[last] == nil {
			return nil, false
		}
	}
	return lock, lock.checkPlaces() == nil
}

// cutBlock splits canonical text before the header of the next stage, behind the
// first line. The blank line between them belongs to neither.
func cutBlock(data []byte) (block, rest []byte) {
	path := make([]string, 0, 8)
	for at := 1; ; {
		n := bytes.Index(data[min(at, len(data)):], []byte("\n\n[stage."))
		if n < 0 {
			return data, nil
		}
		at += n + 2
		line, _, _ := bytes.Cut(data[at:], []byte("\n"))
		if parts, ok := readPath(path[:0], line[1:]); ok && len(parts) == 2 {
			return data[:at-1], data[at:]
		}
	}
}

// stage reads the block of one stage, and returns nil where it is not canonical.
func (v *Parser) stage(name string, block []byte) *Stage {
	v.mu.Lock()
	known := v.stages[string(block)]
	v.mu.Unlock()
	if known != nil {
		return known
	}
	text := make([]byte, 0, len(block)+100)
	text = append(text, comment...)
	text = append(text, "version = 1\n\n"...)
	lock, ok := parseCanonical(append(text, block...))
	if !ok || len(lock.Stages) != 1 || len(lock.Artifacts)+len(lock.Unknown) > 0 || lock.Stages[name] == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stages == nil {
		v.stages = map[string]*Stage{}
	}
	v.stages[string(block)] = lock.Stages[name]
	return lock.Stages[name]
}
