package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas/remote"
)

// many is more than any remote lists in one answer.
const many = 1100

func statCases() []Case {
	return []Case{
		{Name: "stat: what is not there", run: func(ctx context.Context, e *env) error {
			name := e.name("missing")
			_, err := e.Remote.Stat(ctx, name)
			return wantError("stat", name, err, fs.ErrNotExist)
		}},
		{Name: "stat: a folder is no file", run: statFolder},
		{Name: "stat: the beginning of a name is no file", run: statBeginning},
	}
}

func statFolder(ctx context.Context, e *env) error {
	if err := e.put(ctx, e.name("folder/file"), content(1, 10)); err != nil {
		return err
	}
	return wantMissing(ctx, e.Remote, e.folder+"folder")
}

func statBeginning(ctx context.Context, e *env) error {
	if err := e.put(ctx, e.name("abc"), content(1, 10)); err != nil {
		return err
	}
	return wantMissing(ctx, e.Remote, e.folder+"ab")
}

func listCases() []Case {
	return []Case{
		{Name: "list: a folder that is not there", run: listNothing},
		{Name: "list: folders in folders, and their sizes", run: listNested},
		{Name: "list: a prefix is not the beginning of a word", run: listWord},
		{Name: "list: what was replaced has its new size", run: listReplaced},
		{Name: "list: everything", Large: true, run: listEverything},
		{Name: "list: ends with the first error of the caller", run: listStops},
		{Name: "list: a prefix that is none is refused", run: listBad},
		{Name: "list: 1,100 files", Large: true, run: listMany},
	}
}

// list returns what is listed, and finds out whether that is right in itself.
func (e *env) list(ctx context.Context, prefix string) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := e.Remote.List(ctx, prefix, func(i remote.Info) error {
		if _, twice := sizes[i.Name]; twice {
			return fmt.Errorf("%s is listed twice", i.Name)
		}
		sizes[i.Name] = i.Size
		return remote.CheckName(i.Name)
	})
	return sizes, skipUnsupported(err, "it can't list")
}

func skipUnsupported(err error, reason string) error {
	if errors.Is(err, remote.ErrUnsupported) {
		return &skip{reason}
	}
	return err
}

// wantList wants these files below a prefix and no others. sizes are by full names.
func (e *env) wantList(ctx context.Context, prefix string, sizes map[string]int) error {
	got, err := e.list(ctx, prefix)
	if err != nil {
		return err
	}
	for name, size := range got {
		want, is := sizes[name]
		if !is {
			return fmt.Errorf("list of %s names %s, which is not there", prefix, name)
		}
		if size >= 0 && size != int64(want) {
			return fmt.Errorf("list of %s: %s has %d bytes, want %d", prefix, name, size, want)
		}
	}
	for name := range maps.Keys(sizes) {
		if _, is := got[name]; !is {
			return fmt.Errorf("list of %s does not name %s", prefix, name)
		}
	}
	return nil
}

// putAll puts a file of each size.
func (e *env) putAll(ctx context.Context, sizes map[string]int) error {
	names := slices.Sorted(maps.Keys(sizes))
	if len(names) == 0 {
		return nil
	}
	if err := e.put(ctx, names[0], content(1, sizes[names[0]])); err != nil {
		return err
	}
	return inParallel(names[1:], func(_ int, name string) error { return e.put(ctx, name, content(1, sizes[name])) })
}

func listNothing(ctx context.Context, e *env) error {
	return e.wantList(ctx, e.folder+"nothing/", nil)
}

func listNested(ctx context.Context, e *env) error {
	one, two, three, four := e.name("one"), e.name("a/two"), e.name("a/b/three"), e.name("a/b/c/d/four")
	sizes := map[string]int{one: 0, two: 1, three: 1000, four: 70_000}
	if err := e.putAll(ctx, sizes); err != nil {
		return err
	}
	if err := e.wantList(ctx, e.folder, sizes); err != nil {
		return err
	}
	delete(sizes, one)
	if err := e.wantList(ctx, e.folder+"a/", sizes); err != nil {
		return err
	}
	return e.wantList(ctx, e.folder+"a/b/c/", map[string]int{four: 70_000})
}

func listWord(ctx context.Context, e *env) error {
	in := e.name("ab/file")
	all := map[string]int{in: 1, e.name("abc/file"): 2, e.name("a/file"): 3, e.name("ab.file"): 4, e.name("ab-file"): 5}
	if err := e.putAll(ctx, all); err != nil {
		return err
	}
	return e.wantList(ctx, e.folder+"ab/", map[string]int{in: 1})
}

func listReplaced(ctx context.Context, e *env) error {
	name := e.name("file")
	if err := e.replaces(ctx, content(1, 1000), content(2, 500)); err != nil {
		return err
	}
	return e.wantList(ctx, e.folder, map[string]int{name: 500})
}

func listEverything(ctx context.Context, e *env) error {
	name := e.name("file")
	if err := e.put(ctx, name, content(1, 100)); err != nil {
		return err
	}
	n, found := 0, false // there may be very many
	err := e.Remote.List(ctx, "", func(i remote.Info) error {
		n++
		found = found || i.Name == name
		return remote.CheckName(i.Name)
	})
	if err := skipUnsupported(err, "it can't list"); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%s is not among all %d files", name, n)
	}
	return nil
}

func listStops(ctx context.Context, e *env) error {
	if err := e.putAll(ctx, map[string]int{e.name("a"): 1, e.name("b"): 2, e.name("c"): 3}); err != nil {
		return err
	}
	stop, calls := errors.New("stop"), 0
	err := e.Remote.List(ctx, e.folder, func(remote.Info) error {
		calls++
		return stop
	})
	if err := skipUnsupported(err, "it can't list"); err != nil && !errors.Is(err, stop) {
		return err
	}
	if err == nil || calls != 1 {
		return fmt.Errorf("list went on after an error of its caller: %d calls, %w", calls, err)
	}
	return nil
}

func listBad(ctx context.Context, e *env) error {
	if _, err := e.list(ctx, e.folder); err != nil {
		return err
	}
	for _, prefix := range []string{"/", "check", "../", "check/../", "//", "check//", "Check/", "check/*/", "check/a\n/"} {
		err := e.Remote.List(ctx, prefix, func(remote.Info) error { return nil })
		if err == nil {
			return fmt.Errorf("list of %q: no error, want one", prefix)
		}
	}
	return nil
}

func listMany(ctx context.Context, e *env) error {
	if _, err := e.list(ctx, e.folder); err != nil {
		return err
	}
	sizes := map[string]int{}
	for i := range many {
		sizes[e.name(fmt.Sprintf("many/%04d", i))] = i % 50
	}
	if err := e.putAll(ctx, sizes); err != nil {
		return err
	}
	return e.wantList(ctx, e.folder, sizes)
}

func deleteCases() []Case {
	return []Case{
		{Name: "delete: a file", run: deleteFile},
		{Name: "delete: what is not there", run: func(ctx context.Context, e *env) error { return e.delete(ctx, e.name("missing")) }},
		{Name: "delete: leaves the others", run: deleteOthers},
		{Name: "delete: and put again", run: deletePut},
	}
}

func (e *env) delete(ctx context.Context, name string) error {
	err := e.Remote.Delete(ctx, name)
	if errors.Is(err, remote.ErrReadOnly) {
		return &skip{ReadOnly}
	}
	return skipUnsupported(err, "it can't delete")
}

func deleteFile(ctx context.Context, e *env) error {
	name := e.name("file")
	if err := e.put(ctx, name, content(1, 1000)); err != nil {
		return err
	}
	for range 2 {
		if err := e.delete(ctx, name); err != nil {
			return err
		}
		if err := wantMissing(ctx, e.Remote, name); err != nil {
			return err
		}
	}
	names, err := e.list(ctx, e.folder)
	if _, skipped := Skipped(err); skipped {
		return nil
	}
	if len(names) != 0 {
		return fmt.Errorf("what was deleted is listed")
	}
	return err
}

func deleteOthers(ctx context.Context, e *env) error {
	gone := e.name("ab")
	stay := []string{e.name("a"), e.name("abc"), e.name("ab.c"), e.name("b/ab")}
	for _, name := range append(stay, gone) {
		if err := e.put(ctx, name, []byte(name)); err != nil {
			return err
		}
	}
	if err := e.delete(ctx, gone); err != nil {
		return err
	}
	for _, name := range stay {
		if err := want(ctx, e.Remote, name, []byte(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return wantMissing(ctx, e.Remote, gone)
}

func deletePut(ctx context.Context, e *env) error {
	name := e.name("folder/file")
	for i := range 3 {
		b := content(uint64(i), 1000+i)
		if err := e.put(ctx, name, b); err != nil {
			return err
		}
		if err := want(ctx, e.Remote, name, b); err != nil {
			return err
		}
		if err := e.delete(ctx, name); err != nil {
			return err
		}
	}
	return wantMissing(ctx, e.Remote, name)
}
