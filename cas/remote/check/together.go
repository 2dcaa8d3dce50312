package check

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/remote"
)

func togetherCases() []Case {
	return []Case{
		{Name: "together: 16 puts of different files", run: togetherPut},
		{Name: "together: 16 gets of one file", run: togetherGet},
		{Name: "together: 8 puts of one file, one of them wins", run: togetherOne},
		{Name: "together: two clients put one file", run: togetherClients},
		{Name: "together: several long puts", run: togetherLong},
	}
}

func togetherPut(ctx context.Context, e *env) error {
	if err := e.put(ctx, e.name("first"), nil); err != nil {
		return err
	}
	return inParallel(make([]struct{}, parallel), func(i int, _ struct{}) error {
		name, b := e.name(fmt.Sprintf("file-%d", i)), content(uint64(i), 10_000+i)
		if err := e.put(ctx, name, b); err != nil {
			return err
		}
		return want(ctx, e.Remote, name, b)
	})
}

func togetherGet(ctx context.Context, e *env) error {
	name, b := e.name("file"), content(1, mib)
	if err := e.put(ctx, name, b); err != nil {
		return err
	}
	return inParallel(make([]struct{}, parallel), func(i int, _ struct{}) error {
		return wantRange(ctx, e.Remote, name, int64(i*1000), -1, b[i*1000:])
	})
}

func togetherOne(ctx context.Context, e *env) error {
	return e.putsOne(ctx, []remote.Remote{e.writer()}, 8, 100_000)
}

func togetherClients(ctx context.Context, e *env) error {
	if err := e.canPut(ctx); err != nil {
		return err
	}
	other, err := e.second(ctx)
	if err != nil {
		return err
	}
	defer other.Close()
	return e.putsOne(ctx, []remote.Remote{e.Remote, other}, 4, 6*mib)
}

// putsOne puts different contents under one name at once. Some remotes do not take
// all of them, and say so.
func (e *env) putsOne(ctx context.Context, clients []remote.Remote, n, size int) error {
	name := e.name("file")
	if err := e.put(ctx, name, nil); err != nil {
		return err
	}
	contents := make([][]byte, n)
	for i := range contents {
		contents[i] = content(uint64(i), size-i)
	}
	var taken atomic.Int32
	err := inParallel(contents, func(i int, b []byte) error {
		err := clients[i%len(clients)].Put(ctx, name, readAt{b}, int64(len(b)))
		if err == nil {
			taken.Add(1)
		}
		if remote.Temporary(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if taken.Load() == 0 {
		return errors.New("none of them was taken")
	}
	which, err := wantOne(ctx, e.Remote, name, contents...)
	if err != nil {
		return err
	}
	return wantSize(ctx, e.Remote, name, len(contents[which]))
}

func togetherLong(ctx context.Context, e *env) error {
	if err := e.put(ctx, e.name("first"), nil); err != nil {
		return err
	}
	return inParallel(make([]struct{}, 3), func(i int, _ struct{}) error {
		name, b := e.name(fmt.Sprintf("file-%d", i)), content(uint64(i), several/2+i)
		if err := e.put(ctx, name, b); err != nil {
			return err
		}
		return want(ctx, e.Remote, name, b)
	})
}
