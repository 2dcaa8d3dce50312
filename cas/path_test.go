package cas_test

import (
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kept-dev/kept/cas"
)

var goodPaths = []string{
	"a", "a/b/c", "model.pkl", ".hidden", "..a", "...a", "a..b", "a/.b", " leading", "in the middle", "-rf", "~", "a~1", "git~", "git~x", "git~1x", "xgit~1",
	".gitignore", ".gitattributes", ".gitkeep", ".github/workflows", "a.git", "git", ".gi", ".gitt", ".kept",
	"con1", "conx", "acon", "xcon.txt", "com", "com10", "comx", "lpt", "lpt¹0", "nulle", "auxiliary", "console.log", "a.con", "x.nul", "conin", "conout", "clock",
	"COM", "prnt", "com⁴", // U+2074 is no digit to Windows
	"ümlaut", "u\u0308mlaut", "日本語/ファイル.txt", "emoji 🎉", "\u202ename", "a\u200db", "straße", "ﬁ", "a\u00a0",
	"#1", "100%", "a&b", "a;b", "a'b", "$HOME", "`x`", "(x)", "[x]", "{x}", "a=b", "a,b", "a+b", "a@b", "!x", "^x",
	strings.Repeat("a", 255), strings.Repeat("ä", 127), strings.Repeat("a/", 2047) + "aa",
}

var badPaths = map[string][]string{
	"empty":          {""},
	"absolute":       {"/", "/a", "//a", "/.git"},
	"empty part":     {"a/", "a//b", "a/b/"},
	"dots":           {".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "../../etc/passwd", "a/../../b"},
	"length":         {strings.Repeat("a", 256), "a/" + strings.Repeat("b", 256), strings.Repeat("ä", 128), strings.Repeat("a/", 2048) + "a"},
	"not UTF-8":      {"\xff", "a\x80", "a/\xc0\xaf", "\xed\xa0\x80", "a\xf4\x90\x80\x80"},
	"backslash":      {`\`, `a\b`, `..\a`, `.git\config`, `\\server\share`, `a/b\`},
	"colon":          {"C:", "C:/a", "c:a", "a:b", ".git:x", ".git::$INDEX_ALLOCATION/config", "a/b:$DATA"},
	"other Windows":  {"a<b", "a>b", `a"b`, "a|b", "a?b", "a*b", "*"},
	"control":        {"\x00", "a\x00b", "a\nb", "a\r", "a\tb", "\x1b[31m", "a\x7f", "a\u0080", "a\u009bb", "\u0085"},
	"end of name":    {"a.", "a ", "a..", "a. .", "a./b", "a /b", "x/...", "....", " ", "a/ "},
	"git":            {".git", ".GIT", ".Git", ".gIt/config", "a/.git", "a/.git/hooks/post-checkout", ".git/", ".git.", ".git ", ".git. ."},
	"git, short":     {"git~1", "GIT~1", "Git~1/config", "a/git~1", "git~2", "git~12", "git~10/x"},
	"git, ignorable": {".g\u200cit", ".\u200dgit", "\ufeff.git", ".git\u200c", ".\u206a\u206bgit", ".gi\u202et", "\u200e.GIT", "a/.g\u200fit", "g\u200cit~1", ".git.\u200c", ".git \ufeff"},
	"device":         {"con", "CON", "Con.txt", "nul", "NUL.tar.gz", "aux", "aux.c", "prn", "com1", "COM9.log", "com0", "lpt1", "LPT0", "lpt9.x", "com¹", "COM².txt", "lpt³", "conin$", "CONOUT$", "clock$", "conout$.x", "nul .txt", "com1  .x", "a/con/b", "a/Nul"},
}

func TestCheckPathAccepts(t *testing.T) {
	for _, p := range goodPaths {
		if err := cas.CheckPath(p); err != nil {
			t.Errorf("CheckPath(%q) = %v", p, err)
		}
		if err := cas.CheckPath("x/" + p + "/y"); err != nil && len(p) < 4000 {
			t.Errorf("CheckPath(x/%q/y) = %v", p, err)
		}
	}
}

func TestCheckPathRefuses(t *testing.T) {
	for group, paths := range badPaths {
		t.Run(group, func(t *testing.T) {
			for _, p := range paths {
				err := cas.CheckPath(p)
				if !errors.Is(err, cas.ErrPath) {
					t.Errorf("CheckPath(%q) = %v", p, err)
				}
				if err != nil && len(err.Error()) > 1000 {
					t.Errorf("CheckPath of %d bytes has an error of %d", len(p), len(err.Error()))
				}
			}
		})
	}
}

// Every byte and every letter of the special names, one at a time.
func TestCheckPathEveryByte(t *testing.T) {
	const refused = `\:<>"|?*` + "\x7f"
	for c := range 128 {
		name := "a" + string(rune(c)) + "b"
		want := c >= 0x20 && !strings.ContainsRune(refused, rune(c))
		if err := cas.CheckPath(name); (err == nil) != want {
			t.Errorf("CheckPath(%q) = %v", name, err)
		}
	}
	for bits := range 16 {
		name := []byte(".git")
		for i := range name {
			if bits>>i&1 == 1 {
				name[i] = byte(unicode.ToUpper(rune(name[i])))
			}
		}
		if cas.CheckPath(string(name)) == nil || cas.CheckPath("a/"+string(name)+"/b") == nil {
			t.Errorf("CheckPath(%q) accepts Git's folder", name)
		}
	}
}

func TestCheckPathSaysWhy(t *testing.T) {
	for p, want := range map[string]string{
		"a/../b":      `component ".."`,
		"/a":          "absolute",
		"a/.GIT/x":    ".git",
		"data/aux.h5": "device",
		"data\\x":     `\ : <`,
	} {
		err := cas.CheckPath(p)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), cas.ErrPath.Error()) {
			t.Errorf("CheckPath(%q) = %v; want it to say %s", p, err, want)
		}
	}
}

func TestCheckLink(t *testing.T) {
	for _, c := range []struct {
		path, target string
		ok           bool
	}{
		{"a", "b", true},
		{"a", "b/c", true},
		{"a", "./b", true},
		{"a", "b/", true},
		{"a", "b//c", true},
		{"a", ".", true},
		{"d/a", "../b", true},
		{"d/a", "..", true},
		{"d/a", "./../b", true},
		{"d/e/a", "../../b/c", true},
		{"d/a", ".././b", true},
		{"a", "..b", true},
		{"a", "..", false},
		{"a", "../b", false},
		{"d/a", "../..", false},
		{"d/a", "../../b", false},
		{"d/e/a", "../../../b", false},
		{"d/a", "b/../c", false}, // b may be a link to somewhere else
		{"d/a", "b/..", false},
		{"d/a", "../b/..", false},
		{"a", "", false},
		{"a", "/", false},
		{"a", "/etc/passwd", false},
		{"a", "//x", false},
		{"a", `\x`, false},
		{"a", `..\b`, false},
		{"a", "C:/x", false},
		{"a", ".git/config", false},
		{"d/a", "../.git/hooks", false},
		{"d/a", "../GIT~1", false},
		{"a", "con", false},
		{"a", "b\x00", false},
		{"a", "b\n", false},
		{"a", "b\xff", false},
		{"a", "b. ", false},
		{"a", strings.Repeat("b/", 2049), false},
		{"../a", "b", false},
		{".git/a", "b", false},
	} {
		err := cas.CheckLink(c.path, c.target)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, cas.ErrPath) {
			t.Errorf("CheckLink(%q, %q) = %v, want ok: %v", c.path, c.target, err, c.ok)
		}
	}
}

// The rules once more, from the other side: what each system would make of a
// path that CheckPath accepted. Slow and plain on purpose.
func FuzzCheckPath(f *testing.F) {
	for _, p := range goodPaths {
		f.Add(p)
	}
	for _, paths := range badPaths {
		for _, p := range paths {
			f.Add(p)
		}
	}
	root := filepath.Join(string(filepath.Separator), "root", "of it")
	f.Fuzz(func(t *testing.T, p string) {
		if err := cas.CheckPath(p); err != nil {
			if !errors.Is(err, cas.ErrPath) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if !utf8.ValidString(p) || len(p) > 4096 || path.Clean(p) != p || path.IsAbs(p) || !filepath.IsLocal(filepath.FromSlash(p)) {
			t.Fatalf("accepted %q", p)
		}
		if joined := filepath.Join(root, filepath.FromSlash(p)); !strings.HasPrefix(joined, root+string(filepath.Separator)) || len(joined) != len(root)+1+len(p) {
			t.Fatalf("accepted %q, which is %q", p, joined)
		}
		for _, name := range strings.Split(p, "/") {
			checkComponent(t, name)
		}
	})
}

func checkComponent(t *testing.T, name string) {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, `\:<>"|?*/`) {
		t.Fatalf("accepted component %q", name)
	}
	windows := strings.TrimRight(name, ". ")
	if windows != name {
		t.Fatalf("accepted component %q, which Windows takes for %q", name, windows)
	}
	hfs := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) && strings.ContainsRune("\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff", r) {
			return -1
		}
		return r
	}, name)
	for _, seen := range []string{name, hfs, strings.TrimRight(hfs, ". ")} {
		lower := strings.ToLower(seen)
		if lower == ".git" || lower == "git~1" {
			t.Fatalf("accepted component %q, which is Git's folder", name)
		}
		for _, device := range []string{"con", "prn", "aux", "nul", "com1", "com9", "lpt1", "lpt9", "conin$", "conout$"} {
			base, _, _ := strings.Cut(strings.ToLower(name), ".")
			if strings.TrimRight(base, " ") == device {
				t.Fatalf("accepted component %q, which is a device", name)
			}
		}
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			t.Fatalf("accepted component %q with a control character", name)
		}
	}
}

func BenchmarkCheckPath(b *testing.B) {
	for b.Loop() {
		if err := cas.CheckPath("data/images/train/class-0017/image-00042.jpeg"); err != nil {
			b.Fatal(err)
		}
	}
}
