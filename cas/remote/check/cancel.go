package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

func cancelCases() []Case {
	return []Case{
		{Name: "cancel: before it begins", run: cancelBefore},
		{Name: "cancel: after a deadline", run: cancelDeadline},
		{Name: "cancel: in the middle of a put", run: cancelPut},
		{Name: "cancel: in the middle of a long put", run: cancelLongPut},
		{Name: "cancel: in the middle of a get", run: cancelGet},
		{Name: "cancel: in the middle of a list", run: cancelList},
	}
}

func cancelBefore(ctx context.Context, e *env) error {
	name, old := e.name("file"), content(1, 1000)
	if err := e.put(ctx, name, old); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := e.endsWith(ended, name, context.Canceled); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, old)
}

func cancelDeadline(ctx context.Context, e *env) error {
	name, old := e.name("file"), content(1, 1000)
	if err := e.put(ctx, name, old); err != nil {
		return err
	}
	late, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
	defer cancel()
	if err := e.endsWith(late, name, context.DeadlineExceeded); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, old)
}

// endsWith asks in each way with a context that has ended.
func (e *env) endsWith(ended context.Context, name string, target error) error {
	b := content(2, 1000)
	_, stat := e.Remote.Stat(ended, name)
	_, get := get(ended, e.Remote, name, 0, -1)
	for op, err := range map[string]error{
		"put":    e.Remote.Put(ended, name, readAt{b}, int64(len(b))),
		"get":    get,
		"stat":   stat,
		"delete": e.Remote.Delete(ended, name),
		"list":   e.Remote.List(ended, e.folder, func(remote.Info) error { return nil }),
	} {
		if cant := errors.Is(err, remote.ErrUnsupported) || errors.Is(err, remote.ErrReadOnly); cant {
			continue
		}
		if !errors.Is(err, target) {
			return fmt.Errorf("%s with a context that has ended: %w", op, orNone(err))
		}
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func cancelPut(ctx context.Context, e *env) error     { return e.cancelsPut(ctx, 2*mib) }
func cancelLongPut(ctx context.Context, e *env) error { return e.cancelsPut(ctx, several) }

// cancelsPut ends the context while the body is read.
func (e *env) cancelsPut(ctx context.Context, size int) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	name, old, b := e.name("file"), content(1, 1000), content(2, size)
	if err := e.put(ctx, name, old); err != nil {
		return err
	}
	canceled, cancel := context.WithCancel(ctx)
	defer cancel()
	body := failing{b, int64(size / 2), func() error { cancel(); return nil }}
	err := e.Remote.Put(canceled, name, body, int64(size))
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("put that was canceled: %w", err)
	}
	which, is := wantOne(ctx, e.Remote, name, old, b)
	if is != nil {
		return fmt.Errorf("after a put that was canceled: %w", is)
	}
	if err == nil && which == 0 {
		return errors.New("put says that the new file is there, and it is the old")
	}
	return nil
}

func cancelGet(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, several)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	canceled, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := e.Remote.Get(canceled, name, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		return err
	}
	cancel()
	_, err = io.Copy(io.Discard, body)
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("reading on after the context has ended: %w", orNone(err))
	}
	return nil
}

func cancelList(ctx context.Context, e *env) error {
	if err := e.putAll(ctx, map[string]int{e.name("a"): 1, e.name("b"): 2}); err != nil {
		return err
	}
	canceled, cancel := context.WithCancel(ctx)
	defer cancel()
	calls := 0
	err := e.Remote.List(canceled, e.folder, func(remote.Info) error { calls++; cancel(); return nil })
	// The last answer may have been there already.
	if err := skipUnsupported(err, "it can't list"); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if err == nil && calls < 2 {
		return errors.New("list left out a file and gave no error")
	}
	return nil
}
