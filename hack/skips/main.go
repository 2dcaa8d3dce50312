// Command skips reads the events of "go test -json", prints what "go test" would
// have printed, and names the tests that were skipped and why. It fails when one
// of them may not be skipped here:
//
//	go test -json ./... | KEPT_TEST_DISALLOW_SKIP=. KEPT_TEST_ALLOW_SKIP=Windows go run ./hack/skips
//
// Both are regular expressions over "package.TestName"; the second one makes
// exceptions from the first. Unset, every skip is allowed: a machine without
// git-lfs can run the tests too. A test that quietly skips everywhere tests
// nothing, so CI, which installs what the tests need, disallows all but a few.
//
// The result of "go test" itself is that of the pipe's first command.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// event is one line of "go test -json"; the fields are those of "go doc test2json".
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

func main() {
	mayNot, err := disallowed(os.Getenv("KEPT_TEST_DISALLOW_SKIP"), os.Getenv("KEPT_TEST_ALLOW_SKIP"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	skipped, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	code := 0
	for _, s := range skipped {
		fmt.Println("skipped:", s)
		if name, _, _ := strings.Cut(s, " "); mayNot(name) {
			fmt.Fprintf(os.Stderr, "error: %s may not be skipped here\n", name)
			code = 1
		}
	}
	os.Exit(code)
}

// disallowed returns the rule that two regular expressions make; an empty one
// matches nothing.
func disallowed(disallow, allow string) (func(name string) bool, error) {
	no, err := regexp.Compile(disallow)
	if err != nil {
		return nil, fmt.Errorf("KEPT_TEST_DISALLOW_SKIP: %w", err)
	}
	yes, err := regexp.Compile(allow)
	if err != nil {
		return nil, fmt.Errorf("KEPT_TEST_ALLOW_SKIP: %w", err)
	}
	return func(name string) bool {
		return disallow != "" && no.MatchString(name) && (allow == "" || !yes.MatchString(name))
	}, nil
}

// report copies to w the output of packages and of failed tests, and returns the
// skipped tests, each as "package.Test reason".
func report(r io.Reader, w io.Writer) (skipped []string, err error) {
	type key struct{ pkg, test string }
	output := map[key][]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text())
			continue
		}
		k := key{e.Package, e.Test}
		switch {
		case e.Action == "output" && e.Test != "":
			output[k] = append(output[k], e.Output)
		case e.Action == "output" && e.Output != "PASS\n", e.Action == "build-output":
			fmt.Fprint(w, e.Output)
		case e.Test == "":
		case e.Action == "fail":
			fmt.Fprint(w, strings.Join(output[k], ""))
			delete(output, k)
		case e.Action == "skip":
			skipped = append(skipped, e.Package+"."+e.Test+" "+reason(output[k]))
			delete(output, k)
		case e.Action == "pass":
			delete(output, k)
		}
	}
	// A test that never ended is one that the process died in.
	for _, text := range output {
		fmt.Fprint(w, strings.Join(text, ""))
	}
	return skipped, lines.Err()
}

// reason joins what a skipped test logged, without go test's own lines.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			words = append(words, line)
		}
	}
	return "(" + strings.Join(words, " ") + ")"
}
