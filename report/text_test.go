package report

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	cases := []struct{ in, want string }{
		{"train.accuracy", "train.accuracy"},
		{"Präzision 准确率 🎉", "Präzision 准确率 🎉"},
		{"e\u0301", "e\u0301"},
		{"a\nb\r\tc", `a\nb\r\tc`},
		{"\x00\x1b[31m\u009b", `\x00\x1b[31m\u009b`},
		{"a\u202eb\u2066", `a\u202eb\u2066`},
		{"a\u200bb\ufeff\u00ad", `a\u200bb\ufeff\u00ad`},
		{"a\u2028b\u2029", `a\u2028b\u2029`},
		{"a\u00a0b", `a\u00a0b`},
		{"a\u3164\u2800\ufe0f\U000e0041", `a\u3164\u2800\ufe0f\U000e0041`},
		{"a\xffb\xed\xa0\x80", `a\xffb\xed\xa0\x80`},
		{" a  b ", `\x20a \x20b\x20`},
		{" ", `\x20`},
		{"\u0338a", `\u0338a`},
		{"a\u0300\u0301\u0302\u0303\u0304", "a\u0300\u0301\u0302" + `\u0303\u0304`},
		{"##[group]x ###[error] ##vso[task.x]y ## [z", `#\x23[group]x ##\x23[error] #\x23vso[task.x]y ## [z`},
		{"::error::x", "::error::x"}, // harmless but at the start of a line, where no writer puts it
	}
	for _, c := range cases {
		if got := visible(c.in); got != c.want {
			t.Errorf("visible(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"abc", 3, "abc"},
		{"äöüßéè", 6, "äöüßéè"},
		{"abcdefghij", 6, "abcd…j"},
		{strings.Repeat("é", 100), 10, "éééééé…ééé"},
		{strings.Repeat("\xff", 10), 6, "\xff\xff\xff\xff…\xff"},
	} {
		got := clip(c.in, c.most)
		if got != c.want || utf8.RuneCountInString(got) > c.most {
			t.Errorf("clip(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
	if n := utf8.RuneCountInString(sentence(strings.Repeat("\u202e", 1e6))); n > 2*maxReason {
		t.Errorf("a sentence of escapes has %d characters, more than %d", n, 2*maxReason)
	}
}

func TestPlainLog(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"all is well\n", "all is well\n"},
		{"std::vector\n", "std::vector\n"},
		{"::error::x\n", "\\x3a:error::x\n"},
		{"a\n \t::set-output name=a::b", "a\n \t\\x3a:set-output name=a::b"},
		{"a\r::stop-commands::x\r\n::y", "a\r\\x3a:stop-commands::x\r\n\\x3a:y"},
		{"\u2003\ufeff\u200b::error::x", "\u2003\ufeff\u200b\\x3a:error::x"},
		{"ok ##[group]x\n##vso[task.setvariable]y", "ok #\\x23[group]x\n#\\x23vso[task.setvariable]y"},
		{"### kept: gate passed", "### kept: gate passed"},
		{"", ""},
	} {
		got := PlainLog(c.in)
		if got != c.want {
			t.Errorf("PlainLog(%q) = %q, want %q", c.in, got, c.want)
		}
		if commands := runnerCommands(got); len(commands) > 0 {
			t.Errorf("PlainLog(%q) leaves commands: %q", c.in, commands)
		}
	}
}
