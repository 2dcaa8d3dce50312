package check

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"github.com/kept-dev/kept/cas/remote"
)

func getCases() []Case {
	const size = 100_000
	ranged := func(name string, offset, length int64) Case {
		return Case{Name: name, run: func(ctx context.Context, e *env) error {
			f := e.name("file")
			b := content(1, size)
			if err := e.put(ctx, f, b); err != nil {
				return err
			}
			end := offset + length
			if length < 0 {
				end = size
			}
			return wantRange(ctx, e.Remote, f, offset, length, b[offset:end])
		}}
	}
	refused := func(name string, offset, length int64) Case {
		return Case{Name: name, run: func(ctx context.Context, e *env) error {
			f := e.name("file")
			if err := e.put(ctx, f, content(1, size)); err != nil {
				return err
			}
			got, err := get(ctx, e.Remote, f, offset, length)
			if err == nil {
				return fmt.Errorf("get from %d, length %d, of a file of %d bytes gives %d bytes and no error", offset, length, size, len(got))
			}
			return wantError("get", f, err, nil)
		}}
	}
	return []Case{
		ranged("get: the beginning", 0, 1000),
		ranged("get: the middle", 40_000, 1000),
		ranged("get: the end", size-1000, 1000),
		ranged("get: the first byte", 0, 1),
		ranged("get: a byte in the middle", 777, 1),
		ranged("get: the last byte", size-1, 1),
		ranged("get: the whole by its length", 0, size),
		ranged("get: all from the first byte on", 0, -1),
		ranged("get: all from an offset on", 99_000, -1),
		ranged("get: all from the last byte on", size-1, -1),
		ranged("get: nothing", 0, 0),
		ranged("get: nothing in the middle", 500, 0),
		refused("get: more than there is", 0, size+1),
		refused("get: more than there is from the middle", 50_000, 50_001),
		refused("get: from the end on", size, 1),
		refused("get: all from the end on", size, -1),
		refused("get: from behind the end", 2*size, 10),
		refused("get: from before the beginning", -1, 10),
		{Name: "get: ends with io.EOF after the last byte", run: getEOF},
		{Name: "get: ranges of a large file", run: getRanges},
		{Name: "get: a large range", run: getLargeRange},
		{Name: "get: a range of what was replaced", run: getReplaced},
		{Name: "get: what is not there", run: getMissing},
		{Name: "get: closed early", run: getClosed},
	}
}

func getEOF(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, 10_000)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	for _, length := range []int64{100, 10_000, -1} {
		body, err := e.Remote.Get(ctx, name, 0, length)
		if err != nil {
			return err
		}
		if length < 0 {
			length = 10_000
		}
		got := make([]byte, length)
		if _, err := io.ReadFull(body, got); err != nil {
			return err
		}
		for range 2 {
			if n, err := body.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				return fmt.Errorf("after all %d bytes: %d more, want io.EOF: %w", length, n, orNone(err))
			}
		}
		if err := body.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		if !bytes.Equal(got, b[:length]) {
			return fmt.Errorf("other bytes: %s", difference(got, b[:length]))
		}
	}
	return nil
}

func getRanges(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, 8*mib+3)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	type part struct{ offset, length int64 }
	parts := make([]part, 64)
	for i := range parts {
		offset := random.Int64N(int64(len(b)))
		parts[i] = part{offset, 1 + random.Int64N(min(200_000, int64(len(b))-offset))}
	}
	return inParallel(parts, func(_ int, p part) error {
		return wantRange(ctx, e.Remote, name, p.offset, p.length, b[p.offset:p.offset+p.length])
	})
}

func getLargeRange(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, several)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	return wantRange(ctx, e.Remote, name, 1001, several-2002, b[1001:several-1001])
}

// getReplaced is for what remembers how long a file was.
func getReplaced(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(2, 5000)
	if err := e.put(ctx, name, content(1, 1000)); err != nil {
		return err
	}
	if err := wantSize(ctx, e.Remote, name, 1000); err != nil {
		return err
	}
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	return wantRange(ctx, e.Remote, name, 2000, 2500, b[2000:4500])
}

func getMissing(ctx context.Context, e *env) error {
	for _, length := range []int64{-1, 1, 1000} {
		name := e.name("missing")
		_, err := get(ctx, e.Remote, name, 0, length)
		if err := wantError("get", name, err, fs.ErrNotExist); err != nil {
			return err
		}
	}
	return nil
}

// getClosed lets go of bodies that were read in part or not at all.
func getClosed(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, 8*mib+3)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	for i := range 20 {
		if err := readSome(ctx, e.Remote, name, 1000*(i%3)); err != nil {
			return err
		}
	}
	return wantRange(ctx, e.Remote, name, 5, 5000, b[5:5005])
}

func readSome(ctx context.Context, r remote.Remote, name string, n int) error {
	body, err := r.Get(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(body, make([]byte, n))
	_ = body.Close() // whatever it says: the rest was not wanted
	return err
}
