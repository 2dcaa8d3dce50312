package lockfile

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// The figures of the specification are computed here from its own text.
func TestSpecification(t *testing.T) {
	spec := strings.ReplaceAll(string(read(t, "../docs/spec/lockfile.md")), "\r\n", "\n")
	fences := map[string][]string{}
	for _, match := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(spec, -1) {
		fences[match[1]] = append(fences[match[1]], match[2])
	}
	if len(fences["toml"]) != 1 || len(fences["text"]) != 2 {
		t.Fatalf("the specification has %d toml and %d text blocks", len(fences["toml"]), len(fences["text"]))
	}
	example, block, series := fences["toml"][0], fences["text"][0], fences["text"][1]

	lock, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(lock.Marshal()); got != example {
		t.Errorf("the example is not canonical:\n%s", got)
	}
	train := lock.Stages["train"]
	if got := cas.Sum([]byte(block)); got != train.Result {
		t.Errorf("the block's digest is %v, the example's result %v", got, train.Result)
	}
	for _, want := range []string{
		"`" + train.Result.Hex() + "`",
		fmt.Sprintf("(%d bytes", len(block)),
		fmt.Sprintf("(%d bytes)", MaxSize),
		fmt.Sprintf("More than %d keys", MaxDepth),
		comment[:len(comment)-1],
	} {
		if !strings.Contains(spec, want) {
			t.Errorf("the specification does not say %q", want)
		}
	}
	points, err := ParseSeries([]byte(series))
	if err != nil {
		t.Fatal(err)
	}
	if got := cas.Sum([]byte(series)); got != train.History["loss"] {
		t.Errorf("the series' digest is %v, the example names %v", got, train.History["loss"])
	}
	if last := points[len(points)-1].Value; !EqualValues(last, train.Metrics["loss"]) {
		t.Errorf("the series ends with %v, the metric is %v", last, train.Metrics["loss"])
	}
}
