package cas_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

func entry(kind cas.Kind, path string, content string) cas.Entry {
	return cas.Entry{Path: path, Kind: kind, Digest: cas.Sum([]byte(content)), Size: int64(len(content))}
}

func files(paths ...string) cas.Tree {
	var t cas.Tree
	for _, p := range paths {
		t = append(t, entry(cas.File, p, p))
	}
	return t
}

// The hashes are b3sum's of the three contents.
const example = "kept tree 1\n" +
	"f 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85 3 a/data.csv\n" +
	"x d74981efa70a0c880b8d8c1985d075dbcbf679b99a5f9914e5aaf96b831a9e24 11 run.sh\n" +
	"l 17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f 1 z\n"

func TestTreeMarshal(t *testing.T) {
	tree := cas.Tree{
		entry(cas.Link, "z", "a"),
		entry(cas.File, "a/data.csv", "abc"),
		entry(cas.Executable, "run.sh", "hello world"),
	}
	if err := tree.Check(); err != nil {
		t.Errorf("Check = %v", err)
	}
	if got := string(tree.Marshal()); got != example {
		t.Errorf("Marshal =\n%s\nwant\n%s", got, example)
	}
	if tree[0].Path != "z" {
		t.Error("Marshal changed the order of its receiver")
	}
	if got := tree.Size(); got != 15 {
		t.Errorf("Size = %d", got)
	}
	if got := string(cas.Tree(nil).Marshal()); got != "kept tree 1\n" {
		t.Errorf("Marshal of an empty tree = %q", got)
	}
}

func TestParseTree(t *testing.T) {
	tree, err := cas.ParseTree([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := cas.Tree{entry(cas.File, "a/data.csv", "abc"), entry(cas.Executable, "run.sh", "hello world"), entry(cas.Link, "z", "a")}
	if !slices.Equal(tree, want) {
		t.Errorf("ParseTree = %v, want %v", tree, want)
	}
	if tree, err := cas.ParseTree([]byte("kept tree 1\n")); err != nil || len(tree) != 0 {
		t.Errorf("ParseTree of an empty tree = %v, %v", tree, err)
	}
}

func TestParseTreeRefuses(t *testing.T) {
	hash := cas.Sum(nil).Hex()
	line := func(s string) string { return "kept tree 1\n" + strings.ReplaceAll(s, "H", hash) }
	for name, text := range map[string]string{
		"nothing":              "",
		"no header":            strings.TrimPrefix(example, "kept tree 1\n"),
		"a newer version":      strings.Replace(example, "tree 1", "tree 2", 1),
		"header without end":   "kept tree 1",
		"CRLF":                 strings.ReplaceAll(example, "\n", "\r\n"),
		"no end of line":       strings.TrimSuffix(example, "\n"),
		"an empty line":        example + "\n",
		"an empty line inside": strings.Replace(example, "\n", "\n\n", 1),
		"a comment":            example + "# hello\n",
		"unknown kind":         line("d H 0 a\n"),
		"upper-case kind":      line("F H 0 a\n"),
		"no kind":              line(" H 0 a\n"),
		"two spaces":           line("f  H 0 a\n"),
		"a tab":                line("f\tH 0 a\n"),
		"upper-case hash":      "kept tree 1\nf " + strings.ToUpper(hash) + " 0 a\n",
		"prefixed hash":        line("f blake3:H 0 a\n"),
		"short hash":           "kept tree 1\nf " + hash[1:] + " 0 a\n",
		"no hex":               "kept tree 1\nf " + strings.Repeat("g", 64) + " 0 a\n",
		"no size":              line("f H a\n"),
		"empty size":           line("f H  a\n"),
		"plus":                 line("f H +1 a\n"),
		"minus":                line("f H -1 a\n"),
		"minus zero":           line("f H -0 a\n"),
		"leading zero":         line("f H 01 a\n"),
		"underscore":           line("f H 1_0 a\n"),
		"hex size":             line("f H 0x1 a\n"),
		"size of 64 bits":      line("f H 9223372036854775808 a\n"),
		"sizes of 64 bits":     line("f H 9223372036854775807 a\nf H 1 b\n"),
		"no path":              line("f H 0\n"),
		"empty path":           line("f H 0 \n"),
		"parent":               line("f H 0 ../a\n"),
		"git":                  line("f H 0 a/.git/config\n"),
		"absolute":             line("f H 0 /a\n"),
		"space before path":    line("f H 0  \n"),
		"twice":                line("f H 0 a\nf H 0 a\n"),
		"twice, other kind":    line("f H 0 a\nx H 0 a\n"),
		"not sorted":           line("f H 0 b\nf H 0 a\n"),
		"sorted as folders":    line("f H 0 a/b\nf H 0 a-b\n"), // '-' is less than '/'
		"file and folder":      line("f H 0 a\nf H 0 a/b\n"),
		"file and folder, -":   line("f H 0 a\nf H 0 a-b\nf H 0 a/b\n"),
		"below a link":         line("l H 1 a\nf H 0 a/b\n"),
		"empty link":           line("l H 0 a\n"),
		"long link":            line("l H 4097 a\n"),
		"case":                 line("f H 0 A\nf H 0 a\n"),
	} {
		tree, err := cas.ParseTree([]byte(text))
		if !errors.Is(err, cas.ErrTree) || tree != nil {
			t.Errorf("%s: ParseTree = %v, %v", name, tree, err)
		}
	}
}

func TestTreeCheckNames(t *testing.T) {
	for _, c := range []struct {
		tree cas.Tree
		want string // part of the error; "" for none
	}{
		{files("a", "b"), ""},
		{files("a", "b/a"), ""},
		{files("a/x", "a-b", "a.b", "a0"), ""},
		{files("b/A", "a/a", "b/c/A"), ""},
		{files("x/a", "x/b", "xa"), ""},
		{files("a", "a"), "twice"},
		{files("a", "a/b"), "a file and a folder"},
		{files("x/a/b/c", "x/a"), "a file and a folder"},
		{files("a", "a-b", "a.b", "a/b"), "a file and a folder"},
		{files("Makefile", "makefile"), "one name on some systems"},
		{files("a/B/c", "a/b/d"), "one name on some systems"}, // two folders that become one
		{files("A/x", "a"), "one name on some systems"},
		{files("\u00e4", "a\u0308"), "one name on some systems"},
		{files("\u00c4", "a\u0308"), "one name on some systems"},
		{files("straße", "STRASSE"), "one name on some systems"},
		{files("Σ", "ς"), "one name on some systems"},
		{files("ﬁle", "FILE"), "one name on some systems"},
		{files("\u212a", "k"), "one name on some systems"}, // Kelvin sign
		{files("a\u200cb", "ab"), "one name on some systems"},
		{files("\u1e9b\u0323", "\u1e69"), "one name on some systems"}, // folding that composes anew
		{files(".git/x"), ".git"},
		{cas.Tree{{Path: "a", Kind: 'd'}}, "kind"},
		{cas.Tree{{Path: "a", Kind: cas.File, Size: -1}}, "negative"},
		{cas.Tree{{Path: "a", Kind: cas.File, Size: math.MaxInt64}, {Path: "b", Kind: cas.File, Size: 1}}, "63 bits"},
	} {
		err := c.tree.Check()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, cas.ErrTree) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("Check of %v = %v, want %q", c.tree, err, c.want)
		}
		if parsed, err := cas.ParseTree(c.tree.Marshal()); (err == nil) != (c.want == "") {
			t.Errorf("ParseTree of what Check judges otherwise: %v, %v", parsed, err)
		}
	}
}

func TestTreeCheckWrapsPathError(t *testing.T) {
	if err := files("a/../b").Check(); !errors.Is(err, cas.ErrPath) || !errors.Is(err, cas.ErrTree) {
		t.Errorf("Check = %v, want ErrPath and ErrTree", err)
	}
	_, err := cas.ParseTree(files("a", "b/con").Marshal())
	if !errors.Is(err, cas.ErrPath) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("ParseTree = %v, want ErrPath at line 3", err)
	}
}

func TestParseTreeLimit(t *testing.T) {
	data := files("a", "b", "c").Marshal()
	if tree, err := cas.ParseTreeLimit(data, 3); err != nil || len(tree) != 3 {
		t.Errorf("3 entries of 3 allowed: %v", err)
	}
	if _, err := cas.ParseTreeLimit(data, 2); !errors.Is(err, cas.ErrTree) {
		t.Errorf("3 entries of 2 allowed: %v", err)
	}
}

// Newlines are the cheapest way to announce many entries.
func TestParseTreeAllocatesByBytes(t *testing.T) {
	data := append([]byte("kept tree 1\n"), bytes.Repeat([]byte{'\n'}, 8_000_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := cas.ParseTree(data); !errors.Is(err, cas.ErrTree) {
		t.Errorf("ParseTree of empty lines = %v", err)
	}
	runtime.ReadMemStats(&after)
	got := after.TotalAlloc - before.TotalAlloc
	if got > 4*uint64(len(data)) {
		t.Errorf("parsing %d bytes allocates %d", len(data), got)
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("kept tree 1\n"))
	f.Add(files("a/b", "a/c/d", "a-b", "ä/é", "x y").Marshal())
	f.Add(files("a", "a/b").Marshal())
	f.Add(files("A", "a").Marshal())
	f.Add(files("../a").Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := cas.ParseTree(data)
		if err != nil {
			if !errors.Is(err, cas.ErrTree) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if got := tree.Marshal(); !bytes.Equal(got, data) {
			t.Fatalf("ParseTree accepts what Marshal does not write:\n%q\n%q", data, got)
		}
		if err := tree.Check(); err != nil {
			t.Fatalf("ParseTree accepts what Check refuses: %v", err)
		}
	})
}

func bigTree() cas.Tree {
	var tree cas.Tree
	for i := range 50_000 {
		tree = append(tree, cas.Entry{Path: fmt.Sprintf("data/class-%03d/image-%05d.jpeg", i%500, i), Kind: cas.File, Size: int64(i)})
	}
	return tree
}

func BenchmarkParseTree50k(b *testing.B) {
	data := bigTree().Marshal()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cas.ParseTree(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshalTree50k(b *testing.B) {
	tree := bigTree()
	b.ReportAllocs()
	for b.Loop() {
		tree.Marshal()
	}
}
