package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/cas/remote"
)

const (
	defaultJobs = 8
	// manyPacks is from how many packs on a remote is listed and not asked for each.
	manyPacks = 100
)

// wire is one transfer's way to a remote: what both Push and Fetch ask of it.
type wire struct {
	remote remote.Remote
	o      TransferOptions
	known  *known
	// proven are the sizes of packs that the remote was asked about, -1 where it has none.
	proven map[pack.Name]int64
	// spoiled are packs that the remote has, and that turned out to be damaged.
	spoiled map[pack.Name]bool
}

func newWire(r remote.Remote, o TransferOptions) *wire {
	if o.Jobs <= 0 {
		o.Jobs = defaultJobs
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	return &wire{remote: r, o: o, known: openKnown(o.Known), proven: map[pack.Name]int64{}, spoiled: map[pack.Name]bool{}}
}

type noMeter struct{}

func (noMeter) Total(_, _ int64) {}
func (noMeter) Moved(int64)      {}
func (noMeter) Done(_, _ int64)  {}

// each calls fn for the numbers below n, as many at once as there are jobs, and returns its first
// error, which ends the others.
func (w *wire) each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.o.Jobs)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(ctx, i)
		})
	}
	return g.Wait()
}

// ErrDamaged says that a file of a remote is not what it has to be.
var ErrDamaged = errors.New("it is damaged")

// damaged names a file of the remote that is not what it has to be.
func (w *wire) damaged(name string, err error) error {
	at := "the remote"
	if s, ok := w.remote.(fmt.Stringer); ok && s.String() != "" {
		at = s.String()
	}
	return fmt.Errorf("%s: %s: %w: %w", at, name, ErrDamaged, err)
}

// get returns a range of a file, which may have up to most bytes where length is negative.
func (w *wire) get(ctx context.Context, name string, offset, length, most int64) ([]byte, error) {
	body, err := w.remote.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if length >= 0 {
		b := make([]byte, length)
		if _, err := io.ReadFull(body, b); err != nil {
			return nil, w.short(name, err)
		}
		return b, nil
	}
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(b)) > most {
		err = w.damaged(name, fmt.Errorf("it has more than %d bytes", most))
	}
	return b, err
}

// short names the file that ended too early; other errors of a remote name it themselves.
func (w *wire) short(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return w.damaged(name, remote.ErrShort)
	}
	return err
}

// why asks what is the matter with a pack that could not be read: it may have another size than a
// root says.
func (w *wire) why(ctx context.Context, p packRef, err error) error {
	if isBad(err) || remote.Temporary(err) || ctx.Err() != nil {
		return err
	}
	size, failed := w.remote.Stat(ctx, packFile(p.name))
	if errors.Is(failed, fs.ErrNotExist) || failed == nil && size != p.size {
		return w.damaged(packFile(p.name), fmt.Errorf("it has %d bytes, and a root says %d: %w", size, p.size, err))
	}
	return err
}

// root returns the root of an object: an error that wraps fs.ErrNotExist where the remote has
// none, and errRoot where what it has is damaged.
func (w *wire) root(ctx context.Context, d Digest) (*root, error) {
	name := rootFile(d)
	b, err := w.get(ctx, name, 0, -1, maxRoot)
	if err != nil {
		return nil, err
	}
	r, err := parseRoot(b, d)
	if err != nil {
		return nil, w.damaged(name, err)
	}
	return r, nil
}

// table returns the table of a pack on the remote, from what is known or by one read of its end.
func (w *wire) table(ctx context.Context, p packRef) (*pack.Table, error) {
	if t := w.known.table(p.name); t != nil {
		if refOf(t) != p {
			return nil, w.damaged(packFile(p.name), fmt.Errorf("a root says that it has %d bytes, and it has %d", p.size, t.PackSize()))
		}
		return t, nil
	}
	end := pack.EndSize(p.table)
	b, err := w.get(ctx, packFile(p.name), p.size-end, end, end)
	if err != nil {
		return nil, w.why(ctx, p, err)
	}
	t, err := pack.ParseEnd(p.name, p.size, b)
	if err != nil {
		return nil, w.damaged(packFile(p.name), err)
	}
	w.known.learn(t)
	return t, nil
}

// prove asks the remote which of the packs it has, and with Verify reads them. What was asked before
// is not asked again.
func (w *wire) prove(ctx context.Context, packs []packRef) error {
	var ask []pack.Name
	var fresh []packRef
	for _, p := range packs {
		if _, asked := w.proven[p.name]; !asked {
			w.proven[p.name] = -1
			ask = append(ask, p.name)
			fresh = append(fresh, p)
		}
	}
	if len(ask) > manyPacks {
		left, err := w.proveByList(ctx, ask)
		if err != nil {
			return err
		}
		ask = left
	}
	sizes := make([]int64, len(ask))
	err := w.each(ctx, len(ask), func(ctx context.Context, i int) (err error) {
		if sizes[i], err = w.remote.Stat(ctx, packFile(ask[i])); errors.Is(err, fs.ErrNotExist) {
			sizes[i], err = -1, nil
		}
		return err
	})
	for i, name := range ask {
		w.proven[name] = sizes[i]
	}
	if err != nil || !w.o.Verify {
		return err
	}
	fresh = slices.DeleteFunc(fresh, func(p packRef) bool { return !w.has(p) })
	return w.verifyPacks(ctx, fresh)
}

// proveByList returns those of ask of which a list does not tell.
func (w *wire) proveByList(ctx context.Context, ask []pack.Name) (left []pack.Name, err error) {
	files := make(map[string]pack.Name, len(ask))
	for _, name := range ask {
		files[packFile(name)] = name
	}
	err = w.remote.List(ctx, "packs/", func(info remote.Info) error {
		name, asked := files[info.Name]
		switch {
		case asked && info.Size < 0:
			left = append(left, name)
		case asked:
			w.proven[name] = info.Size
		}
		return nil
	})
	if errors.Is(err, remote.ErrUnsupported) {
		return ask, nil
	}
	return left, err
}

// has reports whether a pack was proven to be there as it should be.
func (w *wire) has(p packRef) bool {
	size, asked := w.proven[p.name]
	return asked && size == p.size
}

// hasAll reports that of all packs of a root.
func (w *wire) hasAll(r *root) bool {
	for _, p := range r.packs {
		if !w.has(p) {
			return false
		}
	}
	return true
}

// distinct returns what is wanted, each object once and as a folder if it is wanted as one, in an
// order that depends on nothing else.
func distinct(want []Wanted) []Wanted {
	folder := make(map[Digest]bool, len(want))
	var list []Wanted
	for _, w := range want {
		if _, there := folder[w.Digest]; !there {
			list = append(list, w)
		}
		folder[w.Digest] = folder[w.Digest] || w.Folder
	}
	for i := range list {
		list[i].Folder = folder[list[i].Digest]
	}
	slices.SortFunc(list, func(a, b Wanted) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	return list
}
