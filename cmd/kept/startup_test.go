package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestStartUp holds what kept's own packages do before main: hooks start kept
// with every change of Git's index. Bytes are counted, since no time is the same twice.
func TestStartUp(t *testing.T) {
	const limit = 16 << 10 // one regular expression takes as much
	// Not the binary of the tests, which has their variables, too.
	bin := filepath.Join(t.TempDir(), "kept")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	cmd := exec.Command(bin, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^init (main|github\.com/kept-dev/kept/\S+) .* (\d+) bytes, `)
	total := 0
	for _, m := range line.FindAllStringSubmatch(stderr.String(), -1) {
		bytes, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", m[1], bytes)
		total += bytes
	}
	if total == 0 {
		t.Fatalf("found no package in the trace:\n%s", stderr.String())
	}
	if total > limit {
		t.Errorf("kept's packages allocate %d bytes before main, want at most %d: see internal/lazy", total, limit)
	}
}
