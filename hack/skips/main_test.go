package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const events = `
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"a_test.go:1: quiet\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestLFS","Output":"=== RUN   TestLFS\n"}
{"Action":"output","Package":"m/a","Test":"TestLFS","Output":"    a_test.go:9: no git-lfs\n"}
{"Action":"output","Package":"m/a","Test":"TestLFS","Output":"--- SKIP: TestLFS (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestLFS"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"    a_test.go:5: got 1, want 2\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad"}
{"Action":"output","Package":"m/a","Test":"TestDied","Output":"panic: no more\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.01s\n"}
{"Action":"fail","Package":"m/a"}
{"Action":"skip","Package":"m/empty"}
{"Action":"build-output","ImportPath":"m/b","Output":"b.go:1:1: expected 'package'\n"}
`
	var out strings.Builder
	skipped, err := report(strings.NewReader(strings.TrimSpace(events)), &out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(skipped, "\n"), "m/a.TestLFS (a_test.go:9: no git-lfs)"; got != want {
		t.Errorf("skipped = %q, want %q", got, want)
	}
	want := "    a_test.go:5: got 1, want 2\nFAIL\tm/a\t0.01s\nb.go:1:1: expected 'package'\npanic: no more\n"
	if got := out.String(); got != want {
		t.Errorf("output:\n%s\nwant:\n%s", got, want)
	}
}

func TestDisallowed(t *testing.T) {
	for _, tt := range []struct {
		disallow, allow, name string
		want                  bool
	}{
		{"", "", "m/a.TestLFS", false},
		{"", "LFS", "m/a.TestLFS", false},
		{"LFS", "", "m/a.TestLFS", true},
		{"LFS", "", "m/a.TestOther", false},
		{".", "", "m/a.TestOther", true},
		{".", "Other", "m/a.TestOther", false},
		{".", "Other", "m/a.TestLFS", true},
	} {
		mayNot, err := disallowed(tt.disallow, tt.allow)
		if err != nil {
			t.Fatal(err)
		}
		if got := mayNot(tt.name); got != tt.want {
			t.Errorf("disallowed(%q, %q)(%q) = %v, want %v", tt.disallow, tt.allow, tt.name, got, tt.want)
		}
	}
	if _, err := disallowed("(", ""); err == nil {
		t.Error("a broken expression gives no error")
	}
}
