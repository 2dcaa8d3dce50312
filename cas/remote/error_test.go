package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

func TestError(t *testing.T) {
	refused := errors.New("connection refused")
	for _, c := range []struct {
		err  remote.Error
		want string
	}{
		{remote.Error{Op: "get", Remote: "s3://b", Name: "packs/a", Kind: fs.ErrNotExist}, "s3://b: get packs/a: file does not exist"},
		{remote.Error{Op: "put", Remote: "s3://b", Name: "a", Kind: remote.ErrTemporary, Err: refused}, "s3://b: put a: the remote can't just now: connection refused"},
		{remote.Error{Op: "list", Remote: "s3://b", Err: refused}, "s3://b: list: connection refused"},
		{remote.Error{Op: "open", Remote: "x"}, "x: open"},
		{remote.Error{Op: "get", Name: "a", Kind: remote.ErrShort, Err: fmt.Errorf("%w: 1 of 2", remote.ErrShort)}, "get a: the remote sent another number of bytes: 1 of 2"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if err := error(&c.err); c.err.Kind != nil && !errors.Is(err, c.err.Kind) || c.err.Err != nil && !errors.Is(err, c.err.Err) {
			t.Errorf("%q does not wrap what it is made of", err)
		}
	}
}

func TestTemporary(t *testing.T) {
	for err, want := range map[error]bool{
		&remote.Error{Kind: remote.ErrTemporary}:                                        true,
		fmt.Errorf("put: %w", &remote.Error{Kind: remote.ErrTemporary}):                 true,
		&remote.Error{Kind: remote.ErrTemporary, Err: context.Canceled}:                 false,
		&remote.Error{Kind: remote.ErrTemporary, Err: fmt.Errorf("%w", fs.ErrNotExist)}: true,
		&remote.Error{Kind: remote.ErrDenied}:                                           false,
		&remote.Error{}:                                                                 false,
	} {
		if got := remote.Temporary(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if remote.Temporary(nil) {
		t.Error("no error is temporary")
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "packs/" + strings.Repeat("0", 64) + ".pack": true, "a.b-c_d/0": true, strings.Repeat("a", 100): true, "a..b": true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, ".a": false, "-a": false, "a.": false, "a./b": false,
		"A": false, "a b": false, "ä": false, "a\x00": false, `a\b`: false, strings.Repeat("a", 101): false, "a:b": false, "a%": false,
	} {
		if err := remote.CheckName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
		if err := remote.CheckPrefix(name + "/"); (err == nil) != want {
			t.Errorf("prefix %q: %v", name+"/", err)
		}
	}
	if err := remote.CheckPrefix(""); err != nil {
		t.Error(err)
	}
	if err := remote.CheckPrefix("a"); err == nil {
		t.Error(`the prefix "a" is taken`)
	}
}

func TestSchemes(t *testing.T) {
	schemes := remote.Schemes{"s3": func(_ context.Context, _ *remote.URL, s remote.Settings) (remote.Remote, error) {
		return nil, s.Only("region", "profile")
	}, "file": func(_ context.Context, _ *remote.URL, s remote.Settings) (remote.Remote, error) { return nil, s.Only() }}
	for _, c := range []struct {
		u    string
		s    remote.Settings
		want string
	}{
		{"s3://b", remote.Settings{"region": "x"}, ""},
		{"s3://b", nil, ""},
		{"s3://b", remote.Settings{"rigeon": "x"}, `unknown setting "rigeon": this kind of remote knows region, profile`},
		{"data", remote.Settings{"region": "x"}, `unknown setting "region": this kind of remote has none`},
		{"ftp://host/x", nil, `ftp://host/x: unknown kind of remote "ftp": want one of file, s3`},
	} {
		u, err := remote.ParseURL(c.u)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := schemes.Open(t.Context(), u, c.s); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s, %v: %q, want %q", c.u, c.s, got, c.want)
		}
	}
}
