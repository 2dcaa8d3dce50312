package report

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// formats are all writers, by the ending of their golden file.
var formats = []struct {
	name  string
	write func(io.Writer, []*Review, Options) error
}{
	{"md", Markdown}, {"html", HTML}, {"github.txt", Annotations}, {"junit.xml", JUnit}, {"openmetrics.txt", OpenMetrics}, {"json", JSON},
}

func text(t testing.TB, write func(io.Writer, []*Review, Options) error, reviews []*Review, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, reviews, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The golden files are documents to look at. UPDATE_GOLDEN=1 writes them anew.
func TestGolden(t *testing.T) {
	cases := []struct {
		name    string
		reviews []*Review
	}{
		{"gate", []*Review{worked()}},
		{"diff", []*Review{second()}},
		{"several", []*Review{second(), worked()}},
		{"one", []*Review{alone()}},
		{"nothing", []*Review{{Experiment: ".", Old: Revision{Name: "main"}, New: Revision{Name: "HEAD"}}}},
	}
	o := options()
	o.Draw = func([]Curve) ([]byte, error) {
		return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><path d="M2 2l10 12 26 4" fill="none" stroke="#0072b2"/></svg>`), nil
	}
	for _, c := range cases {
		for _, f := range formats {
			path := filepath.Join("testdata", c.name+"."+f.name)
			got := text(t, f.write, c.reviews, o)
			if again := text(t, f.write, c.reviews, o); again != got {
				t.Errorf("%s: two documents of one review differ", path)
			}
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
			}
		}
	}
}
