package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

func nameCases() []Case {
	return []Case{
		{Name: "names: the longest", run: func(ctx context.Context, e *env) error {
			return e.keepsNames(ctx, strings.Repeat("a", 100-len(e.folder)))
		}},
		{Name: "names: every character", run: func(ctx context.Context, e *env) error {
			return e.keepsNames(ctx, "abcdefghijklmnopqrstuvwxyz0123456789._-z", "_", "0", "_.-x", "a.tar.gz")
		}},
		{Name: "names: as deep as it goes", run: func(ctx context.Context, e *env) error {
			return e.keepsNames(ctx, strings.Repeat("a/", (100-len(e.folder))/2-1)+"b")
		}},
		{Name: "names: alike", run: func(ctx context.Context, e *env) error {
			return e.keepsNames(ctx, "a.b", "a-b", "a_b", "ab", "a..b", "a--b", "x/ab", "x-ab", "x.ab", "x_ab")
		}},
		{Name: "names: those of the layout", run: func(ctx context.Context, e *env) error {
			hex := strings.Repeat("0123456789abcdef", 4)
			return e.keepsNames(ctx, "packs/"+hex+".pack", "roots/"+hex)
		}},
		{Name: "names: what is none is refused by each method", run: namesRefused},
		{Name: "errors: name the remote, what was done, and the file", run: errorText},
		{Name: "close: leaves what is there", run: closeLeaves},
	}
}

// keepsNames puts another content under each name, and wants each back.
func (e *env) keepsNames(ctx context.Context, words ...string) error {
	for _, word := range words {
		if err := e.put(ctx, e.name(word), []byte(word)); err != nil {
			return err
		}
	}
	sizes := map[string]int{}
	for _, word := range words {
		sizes[e.folder+word] = len(word)
		if err := want(ctx, e.Remote, e.folder+word, []byte(word)); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	err := e.wantList(ctx, e.folder, sizes)
	if _, skipped := Skipped(err); skipped {
		return nil
	}
	return err
}

func namesRefused(ctx context.Context, e *env) error {
	bad := []string{
		"", "/", "/x", "x/", "../x", "check/../x", "..", ".", "./x", "check/./x", "check//x", ".hidden", "check/.hidden", "-x", "check/-x", "x.", "check./x",
		"X", "check/X", "a b", "a\x00b", "a\nb", `a\b`, "a?b", "a#b", "a%2fb", "a:b", "a*b", "ä", "a\xff",
		strings.Repeat("a", 101),
	}
	for _, name := range bad {
		if err := e.refuses(ctx, name); err != nil {
			return fmt.Errorf("name %q: %w", name, err)
		}
	}
	return nil
}

func (e *env) refuses(ctx context.Context, name string) error {
	_, stat := e.Remote.Stat(ctx, name)
	_, get := get(ctx, e.Remote, name, 0, -1)
	for op, err := range map[string]error{
		"put":    e.Remote.Put(ctx, name, readAt{[]byte("x")}, 1),
		"get":    get,
		"stat":   stat,
		"delete": e.Remote.Delete(ctx, name),
	} {
		// "It is not there" would be what the remote says of a name that it was asked for.
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: it was not refused: %w", op, err)
		}
	}
	return nil
}

func errorText(ctx context.Context, e *env) error {
	name := e.name("missing")
	_, err := e.Remote.Stat(ctx, name)
	if err := wantError("stat", name, err, fs.ErrNotExist); err != nil {
		return err
	}
	re := new(remote.Error)
	if errors.As(err, &re); !strings.Contains(err.Error(), re.Remote) || !strings.Contains(err.Error(), name) {
		return fmt.Errorf("the error does not name the file and the remote: %w", err)
	}
	if remote.Temporary(err) {
		return fmt.Errorf("what is not there can be tried again: %w", err)
	}
	return nil
}

func closeLeaves(ctx context.Context, e *env) error {
	other, err := e.second(ctx)
	if err != nil {
		return err
	}
	name, b := e.name("file"), content(1, 1000)
	if err := e.put(ctx, name, b); err != nil {
		return errors.Join(err, other.Close())
	}
	if err := errors.Join(want(ctx, other, name, b), other.Close()); err != nil {
		return err
	}
	return want(ctx, e.Remote, name, b)
}
