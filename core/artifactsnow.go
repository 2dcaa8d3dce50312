package core

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// artifactsNow hashes a block's artifacts as they lie in the working tree; the
// zero digest stands for a missing one. Unless look is set, missing ones are
// brought back from the store first and named in broughtBack.
func (p *Project) artifactsNow(ctx context.Context, block *lockfile.Stage, look bool) (now map[string]cas.Digest, broughtBack []string, err error) {
	now = map[string]cas.Digest{}
	rs := p.restorer()
	for _, name := range slices.Sorted(maps.Keys(block.Artifacts)) {
		art := block.Artifacts[name]
		file := p.join(art.Path)
		if look && !p.Workspace.Exists(file) {
			// A real run would bring it back, if the store has it.
			if _, err := rs.fetch(ctx, art, nil); err == nil {
				now[name] = art.Hash
				continue
			}
		}
		if !look && !p.Workspace.Exists(file) {
			it := []item{{path: file, art: art}}
			rs.marks(p.LockPath(), it, restored{})
			if err := rs.ensure(ctx, it[0]); err != nil {
				return nil, nil, err
			}
			if slices.Contains(rs.report.Placed, file) {
				if err := p.setPlaced(p.LockPath(), placedOf(it)); err != nil {
					return nil, nil, err
				}
			}
		}
		o, err := p.Workspace.Scan(ctx, file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			now[name] = cas.Digest{}
		case err != nil:
			return nil, nil, err
		default:
			now[name] = o.Digest
		}
	}
	return now, rs.report.Placed, nil
}
