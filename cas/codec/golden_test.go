package codec

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file anew")

const golden = "testdata/groups.txt"

// TestGolden reads groups that were written once: what is in packs has to stay readable. Each is
// a line with its name and method, one with the plain bytes and one with the stored ones.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Method]bool{}
	for block := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		lines := strings.Split(block, "\n")
		if len(lines) != 3 {
			t.Fatalf("not three lines: %q", block)
		}
		method := Method(lines[0][strings.LastIndex(lines[0], " ")+1] - '0')
		plain, err := hex.DecodeString(lines[1])
		if err != nil {
			t.Fatal(err)
		}
		stored, err := hex.DecodeString(lines[2])
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(plain))
		if err := Decode(method, stored, got); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %x, %v", lines[0], got, err)
		}
		seen[method] = true
	}
	for _, m := range []Method{Raw, Zstd, Planes} {
		if !seen[m] {
			t.Errorf("there is no group of method %d", m)
		}
	}
}

func writeGolden(t *testing.T) {
	var b strings.Builder
	line := func(name string, method Method, plain, stored []byte) {
		fmt.Fprintf(&b, "%s %d\n%x\n%x\n\n", name, method, plain, stored)
	}
	// The example of the specification, by hand.
	line("example", Planes, []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, []byte{4, 0b1110, 1, 12 << 3, 1, 2, 3, 1, 0, 1, 0, 1, 0})
	for _, g := range []struct {
		name  string
		sizes []int
	}{{"noise", []int{20}}, {"text", []int{300}}, {"bfloat16", []int{333, 7, 1, 301}}, {"float32", []int{1603}}, {"int64 tokens", []int{400, 399}}, {"int8 weights", []int{1900}}, {"float64 from float32", []int{1605}}} {
		k := kindNamed(g.name)
		var runs [][]byte
		for _, n := range g.sizes {
			runs = append(runs, k.make(newRand(), 2000)[2000-n:])
		}
		method, stored := roundTrip(t, NewEncoder(), k.class, runs)
		line(g.name, method, bytes.Join(runs, nil), stored)
	}
	if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLarge holds that there is no size at which a method stops.
func TestLarge(t *testing.T) {
	e := NewEncoder()
	for _, name := range []string{"text", "bfloat16"} {
		k := kindNamed(name)
		b := k.make(newRand(), 1<<20)
		var runs [][]byte
		for range 9 {
			runs = append(runs, b)
		}
		if method, _ := roundTrip(t, e, k.class, runs); method == Raw {
			t.Errorf("%s was stored as it is", name)
		}
	}
}
