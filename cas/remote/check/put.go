package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
)

func putCases() []Case {
	keeps := func(name string, b func() []byte) Case {
		return Case{Name: name, run: func(ctx context.Context, e *env) error { return e.keeps(ctx, b()) }}
	}
	sized := func(size int) func() []byte { return func() []byte { return content(1, size) } }
	return []Case{
		keeps("put: nothing", sized(0)),
		keeps("put: one byte", sized(1)),
		keeps("put: every byte there is", everyByte),
		keeps("put: zeros", func() []byte { return make([]byte, mib+1) }),
		keeps("put: what is compressed already", zipped),
		keeps("put: what looks like a page", func() []byte { return []byte("<!DOCTYPE html>\r\n<title>404 Not Found</title>\r\n") }),
		keeps("put: 8 MiB", sized(8*mib)),
		keeps("put: 8 MiB and a few bytes", sized(8*mib+3)),
		keeps("put: more than a part of an upload", sized(several)),
		{Name: "put: a body that has more is cut", run: putLonger},
		{Name: "put: a body that ends early leaves nothing", run: putShorter},
		{Name: "put: a body that fails leaves nothing", run: putFailing},
		{Name: "put: a long body that fails at its end leaves nothing", run: putFailingLate},
		{Name: "put: a negative size is refused", run: putNegative},
		{Name: "put: is there for another client at once", run: putSecond},
	}
}

// keeps puts b, and wants it back.
func (e *env) keeps(ctx context.Context, b []byte) error {
	name := e.name("file")
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	if err := wantSize(ctx, e.Remote, name, len(b)); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, b)
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return bytes.Repeat(b, 16)
}

// zipped is for remotes and clients that unpack what they take for an encoding.
func zipped() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte("kept "), 1000)) // a Buffer never fails
	_ = w.Close()
	return b.Bytes()
}

func putLonger(ctx context.Context, e *env) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	name, b := e.name("file"), content(1, 1000)
	if err := e.Remote.Put(ctx, name, readAt{b}, 900); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, b[:900])
}

func putShorter(ctx context.Context, e *env) error {
	return e.putFails(ctx, readAt{content(1, 1000)}, 1001)
}

func putFailing(ctx context.Context, e *env) error {
	body := failing{content(1, mib), mib / 2, func() error { return errBody }}
	return e.putFails(ctx, body, mib)
}

func putFailingLate(ctx context.Context, e *env) error {
	body := failing{content(1, several), several - 1, func() error { return errBody }}
	return e.putFails(ctx, body, several)
}

// putFails puts a body that is not whole, and wants to find nothing of it.
func (e *env) putFails(ctx context.Context, body interface {
	ReadAt([]byte, int64) (int, error)
}, size int64) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	name := e.name("file")
	if err := wantError("put", name, e.Remote.Put(ctx, name, body, size), nil); err != nil {
		return err
	}
	if err := wantMissing(ctx, e.Remote, name); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	names, err := e.list(ctx, e.folder)
	if _, skipped := Skipped(err); skipped {
		return nil
	}
	if _, is := names[name]; is {
		return fmt.Errorf("afterwards %s is listed", name)
	}
	return err
}

func putNegative(ctx context.Context, e *env) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	name := e.name("file")
	if err := wantError("put", name, e.Remote.Put(ctx, name, readAt{nil}, -1), nil); err != nil {
		return err
	}
	return wantMissing(ctx, e.Remote, name)
}

func putSecond(ctx context.Context, e *env) error {
	other, err := e.second(ctx)
	if err != nil {
		return err
	}
	defer other.Close()
	name, b := e.name("file"), content(1, 1000)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	if err := wantSize(ctx, other, name, len(b)); err != nil {
		return err
	}
	return want(ctx, other, name, b)
}
