package environment_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/lockfile"
)

func TestPlatform(t *testing.T) {
	if got, want := environment.Platform(), runtime.GOOS+"/"+runtime.GOARCH; got != want {
		t.Errorf("Platform() = %q, want %q", got, want)
	}
}

func TestNormalizeName(t *testing.T) {
	for name, want := range map[string]string{
		"numpy": "numpy", "Pillow": "pillow", "ruamel.yaml": "ruamel-yaml", "zope.interface": "zope-interface",
		"My__-.Lib": "my-lib", "a": "a", "": "", "-a": "", "a-": "", "a..": "", "a b": "", "ä": "",
	} {
		if got := environment.NormalizeName(name); got != want {
			t.Errorf("NormalizeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFormatPackages(t *testing.T) {
	got := environment.FormatPackages([]environment.Package{
		{"numpy", "2.1.0"}, {"NumPy", "2.1.0"}, {"torch", "2.5.1+cu121"}, {"numpy", "1.26.4"}, {"a-b", "1"}, {"a", "1"},
		{"Kept", "0.1"}, {"", "1"}, {"-e git+x", "1"}, {"nameless", ""}, {"odd", "1 ; rm\n"},
	})
	// Sorted as `LC_ALL=C sort` sorts the lines.
	want := "a-b==1\na==1\nnumpy==1.26.4\nnumpy==2.1.0\nodd==1___rm_\ntorch==2.5.1+cu121\n"
	if string(got) != want {
		t.Errorf("FormatPackages =\n%swant\n%s", got, want)
	}
	if got := environment.FormatPackages(nil); len(got) != 0 {
		t.Errorf("FormatPackages(nil) = %q", got)
	}
}

func TestParsePackages(t *testing.T) {
	packages, err := environment.ParsePackages([]byte("a-b==1\na==1\nnumpy==1.26.4\nnumpy==2.1.0\n"))
	want := []environment.Package{{"a-b", "1"}, {"a", "1"}, {"numpy", "1.26.4"}, {"numpy", "2.1.0"}}
	if err != nil || !slices.Equal(packages, want) {
		t.Errorf("ParsePackages = %v, %v; want %v", packages, err, want)
	}
	for _, tc := range []struct{ name, text, line string }{
		{"no LF at the end", "a==1\nb==2", "line 2"},
		{"CR LF", "a==1\r\n", "line 1"},
		{"an empty line", "a==1\n\n", "line 2"},
		{"a comment", "# x\na==1\n", "line 1"},
		{"another operator", "a>=1\n", "line 1"},
		{"no version", "a==\n", "line 1"},
		{"no name", "==1\n", "line 1"},
		{"a name that is not normalised", "A==1\n", "line 1"},
		{"a blank", "a ==1\n", "line 1"},
		{"a marker", "a==1;x\n", "line 1"},
		{"another order", "b==1\na==1\n", "line 2"},
		{"a line twice", "a==1\na==1\n", "line 2"},
		{"kept itself", "kept==1\n", "line 1"},
	} {
		_, err := environment.ParsePackages([]byte(tc.text))
		if !errors.Is(err, environment.ErrPackages) || !strings.HasPrefix(err.Error(), tc.line+":") {
			t.Errorf("%s: %v, want ErrPackages at %s", tc.name, err, tc.line)
		}
	}
}

func FuzzParsePackages(f *testing.F) {
	f.Add([]byte("a-b==1\na==1\nnumpy==1.26.4\nnumpy==2.1.0\n"), "Zope.Interface", "5.0\n#")
	f.Add([]byte("a===1\n"), "", "")
	f.Fuzz(func(t *testing.T, data []byte, name, version string) {
		packages, err := environment.ParsePackages(data)
		if err == nil && !bytes.Equal(environment.FormatPackages(packages), data) {
			t.Errorf("%q is formatted as %q", data, environment.FormatPackages(packages))
		}
		text := environment.FormatPackages(append(packages, environment.Package{Name: name, Version: version}))
		again, err := environment.ParsePackages(text)
		if err != nil {
			t.Fatalf("what FormatPackages wrote is refused: %v", err)
		}
		if changes := environment.Diff(again, again); len(changes) != 0 {
			t.Errorf("a list differs from itself: %v", changes)
		}
	})
}

func TestPackagesOf(t *testing.T) {
	got := environment.PackagesOf(map[string][]string{"b": {"2", "1"}, "a": {"1"}})
	if want := []environment.Package{{"a", "1"}, {"b", "1"}, {"b", "2"}}; !slices.Equal(got, want) {
		t.Errorf("PackagesOf = %v, want %v", got, want)
	}
}

func TestDiff(t *testing.T) {
	got := environment.Diff(
		[]environment.Package{{"numpy", "1.26.4"}, {"gone", "1"}, {"Same", "3"}, {"two", "1"}},
		[]environment.Package{{"Numpy", "2.1.0"}, {"new", "1"}, {"same", "3"}, {"two", "1"}, {"two", "2"}, {"kept", "9"}},
	)
	want := []environment.PackageChange{{"gone", "1", ""}, {"new", "", "1"}, {"numpy", "1.26.4", "2.1.0"}, {"two", "1", "1, 2"}}
	if !slices.Equal(got, want) {
		t.Errorf("Diff = %v, want %v", got, want)
	}
}

func TestRequirementFiles(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "experiments", "a")
	touch := func(folder string, names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(folder, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	touch(dir, "kept.toml")
	want := func(what string, want ...string) {
		t.Helper()
		if got := environment.RequirementFiles(dir, root); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	want("nothing")
	touch(root, "uv.lock", "requirements/dev.txt", "requirements/notes.md", "pyproject.toml")
	want("in the root", "../../requirements/dev.txt", "../../uv.lock")
	touch(filepath.Join(dir, "poetry.lock"), "is a folder")
	want("a folder of that name", "../../requirements/dev.txt", "../../uv.lock")
	touch(dir, "requirements.txt", "environment.yml")
	want("in the experiment's folder", "environment.yml", "requirements.txt")
	if got := environment.RequirementFiles(root, root); !slices.Equal(got, []string{"requirements/dev.txt", "uv.lock"}) {
		t.Errorf("in the root itself: %q", got)
	}
}

func TestCompare(t *testing.T) {
	one, two := cas.Sum([]byte("1")), cas.Sum([]byte("2"))
	full := &lockfile.Environment{
		Packages: one, Platform: "linux/amd64", Runtime: "python 3.11.7",
		Files: map[string]cas.Digest{"uv.lock": one, "same": one, "gone": one},
	}
	other := &lockfile.Environment{
		Packages: two, Platform: "darwin/arm64", Runtime: "python 3.12.1",
		Files: map[string]cas.Digest{"uv.lock": two, "same": one, "new": two},
	}
	for _, tc := range []struct {
		name string
		a, b *lockfile.Environment
		want []environment.Change
	}{
		{"nothing known", nil, nil, nil},
		{"nothing known in two ways", nil, &lockfile.Environment{}, nil},
		{"the same", full, full, nil},
		{"everything", full, other, []environment.Change{
			{"platform", "linux/amd64", "darwin/arm64"},
			{"runtime", "python 3.11.7", "python 3.12.1"},
			{"packages", one.String(), two.String()},
			{"gone", one.String(), ""},
			{"new", "", two.String()},
			{"uv.lock", one.String(), two.String()},
		}},
		{"known now", &lockfile.Environment{Platform: "linux/amd64"}, &lockfile.Environment{Platform: "linux/amd64", Packages: one}, []environment.Change{
			{"packages", "", one.String()},
		}},
		{"written by a newer version", &lockfile.Environment{Unknown: map[string]any{"gpu": "x"}}, nil, nil},
	} {
		if got := environment.Compare(tc.a, tc.b); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSeeds(t *testing.T) {
	params := map[string]lockfile.Value{
		"seed": int64(1), "train.seed": int64(0), "model.random_state": int64(2), "randomState": int64(3), "np-seed": int64(4),
		"manualSeed": int64(5), "data.seeds": []lockfile.Value{int64(1)}, "SEED": "7", "torch.rng_seed2": int64(6), "random-seed": 0.5,
		// These are none.
		"use_seed": true, "seed.text": "x", "seedling": int64(1), "linseed": int64(1), "state": int64(1), "random": int64(1),
		"random_states_file": "x", "empty_seed": "", "lr": 0.1,
	}
	got := slices.Sorted(maps.Keys(environment.Seeds(params)))
	want := []string{"SEED", "data.seeds", "manualSeed", "model.random_state", "np-seed", "random-seed", "randomState", "seed", "torch.rng_seed2", "train.seed"}
	if !slices.Equal(got, want) {
		t.Errorf("Seeds = %q, want %q", got, want)
	}
}

func TestUsageOf(t *testing.T) {
	// This test binary is the command: it takes memory and processor time, then ends.
	cmd := exec.Command(os.Args[0], "-test.run=^TestUsageChild$")
	cmd.Env = append(os.Environ(), "USAGE_CHILD=1")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	usage := environment.UsageOf(cmd.ProcessState, 3*time.Second)
	if usage.Wall != 3*time.Second {
		t.Errorf("Wall = %v, want 3s", usage.Wall)
	}
	if usage.User+usage.System <= 0 {
		t.Errorf("no processor time in %+v", usage)
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return
	}
	// In kilobytes or in units of 512 bytes this would be far off.
	if usage.PeakMemory < 64<<20 || usage.PeakMemory > 2<<30 {
		t.Errorf("PeakMemory = %d, want at least the 64 MiB that the child filled", usage.PeakMemory)
	}
}

func TestUsageChild(t *testing.T) {
	if os.Getenv("USAGE_CHILD") == "" {
		t.Skip("is run by TestUsageOf")
	}
	filled := bytes.Repeat([]byte{1}, 64<<20)
	sum := 0.0
	for _, b := range filled {
		sum += math.Sqrt(float64(b))
	}
	if sum == 0 {
		t.Error("nothing was computed")
	}
}
