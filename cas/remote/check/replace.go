package check

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

func replaceCases() []Case {
	replaces := func(name string, old, size int) Case {
		return Case{Name: name, run: func(ctx context.Context, e *env) error {
			return e.replaces(ctx, content(1, old), content(2, size))
		}}
	}
	return []Case{
		replaces("replace: the larger by the smaller", 3000, 1000),
		replaces("replace: the smaller by the larger", 1000, 3000),
		replaces("replace: something by nothing", 1000, 0),
		replaces("replace: nothing by something", 0, 1000),
		replaces("replace: small by what takes several parts", 1000, several),
		replaces("replace: what took several parts by small", several, 1000),
		{Name: "replace: the same again", run: replaceSame},
		{Name: "replace: a body that fails leaves the old", run: replaceFailing},
		{Name: "replace: a long body that fails leaves the old", run: replaceFailingLate},
		{Name: "replace: readers see the old or the new", run: replaceRead},
	}
}

func (e *env) replaces(ctx context.Context, old, b []byte) error {
	name := e.name("file")
	if err := e.put(ctx, name, old); err != nil {
		return err
	}
	if err := wantSize(ctx, e.Remote, name, len(old)); err != nil {
		return err
	}
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	if err := wantSize(ctx, e.Remote, name, len(b)); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, b)
}

func replaceSame(ctx context.Context, e *env) error {
	b := content(1, 5000)
	return e.replaces(ctx, b, b)
}

func replaceFailing(ctx context.Context, e *env) error {
	return e.leavesOld(ctx, mib, failing{content(2, mib), 1000, func() error { return errBody }})
}

func replaceFailingLate(ctx context.Context, e *env) error {
	return e.leavesOld(ctx, several, failing{content(2, several), several - 1, func() error { return errBody }})
}

// leavesOld puts a body that fails over a file that must stay.
func (e *env) leavesOld(ctx context.Context, size int64, body failing) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	name, old := e.name("file"), content(1, 1000)
	if err := e.put(ctx, name, old); err != nil {
		return err
	}
	if err := wantError("put", name, e.Remote.Put(ctx, name, body, size), nil); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, old)
}

// replaceRead replaces a file again and again while others read it.
func replaceRead(ctx context.Context, e *env) error {
	name := e.name("file")
	contents := [][]byte{content(1, mib), content(2, mib), content(3, mib/2)}
	if err := e.put(ctx, name, contents[0]); err != nil {
		return err
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = readUntil(ctx, e.Remote, name, contents, done) })
	}
	var err error
	for i := range 6 {
		if err = e.put(ctx, name, contents[(i+1)%3]); err != nil && !remote.Temporary(err) {
			break // some remotes take a file only so often
		}
		err = nil
	}
	close(done)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

func readUntil(ctx context.Context, r remote.Remote, name string, contents [][]byte, done chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		_, err := wantOne(ctx, r, name, contents...)
		if err != nil && !remote.Temporary(err) && !errors.Is(err, remote.ErrShort) {
			return fmt.Errorf("while it is replaced: %w", err)
		}
	}
}
