package environment

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// pythons returns the interpreters of this machine: those on the PATH and those of pyenv.
func pythons(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		more, _ := filepath.Glob(filepath.Join(home, ".pyenv", "versions", "*", "bin", "python"))
		found = append(found, more...)
	}
	if len(found) == 0 {
		t.Skip("no Python interpreter on this machine")
	}
	return found
}

// modern returns an interpreter that answers.
func modern(t *testing.T) string {
	t.Helper()
	for _, python := range pythons(t) {
		if r, err := Interpreter(t.Context(), quote(python)+" x.py", t.TempDir(), os.Environ()); err == nil && r != nil {
			return r.Executable
		}
	}
	t.Skip("no Python interpreter of 3.6 or later on this machine")
	return ""
}

func quote(word string) string { return "'" + word + "'" }

func TestInterpretersTellTheirVersion(t *testing.T) {
	dir := t.TempDir()
	for _, python := range pythons(t) {
		r, err := Interpreter(t.Context(), quote(python)+" train.py", dir, os.Environ())
		// Python 2 wrote its version to standard error.
		out, versionErr := exec.Command(python, "--version").Output()
		want := strings.ToLower(strings.TrimSpace(string(out)))
		switch {
		case versionErr != nil:
			t.Logf("%s does not run: %v", python, versionErr)
		case want == "" || strings.HasPrefix(want, "python 3.5."):
			if r != nil || err != nil {
				t.Errorf("%s: %v, %v; want silence of an old interpreter", python, r, err)
			}
		case err != nil || r == nil:
			t.Errorf("%s: %v, %v", python, r, err)
		case r.String() != want:
			t.Errorf("%s: %q, want %q", python, r, want)
		case !filepath.IsAbs(r.Executable) || r.Prefix == "" || r.ABI == "" || r.Build == "":
			t.Errorf("%s: something is missing in %+v", python, r)
		}
	}
}

// The packages are those that the interpreter itself lists, for every way to start it.
func TestInterpreterListsItsPackages(t *testing.T) {
	python := modern(t)
	script := "import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata['Name'] or '', d.version or '')"
	out, err := exec.Command(python, "-I", "-c", script).Output()
	if err != nil {
		t.Skip("no importlib.metadata to compare with")
	}
	seen := make(map[string]bool)
	var want []Package
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key := NormalizeName(name); !seen[key] {
			seen[key] = true
			want = append(want, Package{name, version})
		}
	}
	r, err := Interpreter(t.Context(), quote(python)+" -I train.py", t.TempDir(), os.Environ())
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	if got, want := string(FormatPackages(r.Packages)), string(FormatPackages(want)); got != want {
		t.Errorf("packages =\n%swant\n%s", got, want)
	}
}

// An experiment may have modules of any name beside its program; none of them may run.
func TestInterpreterRunsNothingOfTheRepository(t *testing.T) {
	python := modern(t)
	dir := t.TempDir()
	trap := "open('trapped', 'a').write(__name__ + '\\n')\n"
	for _, module := range []string{"json", "os", "sys", "re", "_imp", "readline", "encodings", "sitecustomize", "usercustomize", "numpy", "warnings", "io", "codecs", "site"} {
		file(t, dir, module+".py", trap, 0o644)
	}
	file(t, dir, "json/__init__.py", trap, 0o644)
	env := append(os.Environ(), "PYTHONINSPECT=1", "PYTHONNOUSERSITE=1")
	r, err := Interpreter(t.Context(), quote(python)+" train.py", dir, env)
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	if who, err := os.ReadFile(filepath.Join(dir, "trapped")); err == nil {
		t.Errorf("the probe ran modules of the experiment: %s", who)
	}
}

// PYTHONPATH is the user's own: the program sees what lies there, and so does
// the probe, but it imports nothing from it.
func TestInterpreterSeesPYTHONPATH(t *testing.T) {
	python := modern(t)
	dir := t.TempDir()
	file(t, dir, "lib/json.py", "open('trapped', 'a').write('json')\n", 0o644)
	file(t, dir, "lib/My_Lib-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: My_Lib\nVersion: 1.5+local\n\nVersion: 9\n", 0o644)
	file(t, dir, "lib/old.egg-info", "Name: old\nVersion: 0.1\n", 0o644)
	file(t, dir, "lib/older.egg-info/PKG-INFO", "Name: older\nVersion: 0.2\n", 0o644)
	file(t, dir, "lib/~ip-1.dist-info/METADATA", "Name: pip-leftover\nVersion: 1\n", 0o644)
	file(t, dir, "lib/empty.dist-info/RECORD", "", 0o644)
	file(t, dir, "lib/numpy.libs/libscipy_openblas64_-abc.so", "", 0o644)
	file(t, dir, "later/my.lib-2.dist-info/METADATA", "Name: my.lib\nVersion: 2\n", 0o644)
	search := filepath.Join(dir, "lib") + string(filepath.ListSeparator) + filepath.Join(dir, "later")
	r, err := Interpreter(t.Context(), quote(python)+" train.py", dir, append(os.Environ(), "PYTHONPATH="+search))
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	list := string(FormatPackages(r.Packages))
	for _, want := range []string{"my-lib==1.5+local\n", "old==0.1\n", "older==0.2\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("packages lack %q", want)
		}
	}
	for _, wrong := range []string{"my-lib==2", "leftover", "empty"} {
		if strings.Contains(list, wrong) {
			t.Errorf("packages contain %q", wrong)
		}
	}
	if !slices.Contains(r.BLAS, "libscipy_openblas64_-abc.so") {
		t.Errorf("BLAS = %q", r.BLAS)
	}
	if _, err := os.Stat(filepath.Join(dir, "trapped")); err == nil {
		t.Error("the probe imported a module out of PYTHONPATH")
	}
}

func TestInterpreterKnowsItsVirtualEnvironment(t *testing.T) {
	python := modern(t)
	dir := t.TempDir()
	if err := exec.Command(python, "-m", "venv", "--without-pip", filepath.Join(dir, ".venv")).Run(); err != nil {
		t.Skipf("cannot make a virtual environment: %v", err)
	}
	bin := "bin"
	if runtime.GOOS == "windows" {
		bin = "Scripts"
	}
	prefix, err := filepath.EvalSymlinks(filepath.Join(dir, ".venv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"./.venv/" + bin + "/python train.py",
		". .venv/" + bin + "/activate && python train.py",
		"cd sub && ../.venv/" + bin + "/python train.py",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := Interpreter(t.Context(), command, dir, os.Environ())
		if err != nil || r == nil {
			t.Errorf("%s: %v, %v", command, r, err)
			continue
		}
		if got, _ := filepath.EvalSymlinks(r.Prefix); got != prefix || r.BasePrefix == r.Prefix {
			t.Errorf("%s: prefix %q of %q, want %q", command, r.Prefix, r.BasePrefix, prefix)
		}
		if list := FormatPackages(r.Packages); strings.Contains(string(list), "pip==") {
			t.Errorf("%s: sees the packages outside of its environment:\n%s", command, list)
		}
	}
}

// A runner is started with its own words, and what it prints does not matter.
func TestInterpreterAsksThroughRunners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the runner of this test is a shell script")
	}
	python := modern(t)
	dir := t.TempDir()
	file(t, dir, "bin/uv", `#!/bin/sh
echo "$#: $1 $2 $3" > asked
echo "Installed 3 packages"
shift 3
exec '`+python+`' "$@"
`, 0o755)
	env := append(os.Environ(), "PATH="+filepath.Join(dir, "bin"))
	r, err := Interpreter(t.Context(), "time uv run --frozen python train.py --epochs 3", dir, env)
	if err != nil || r == nil || r.Executable != python {
		t.Fatalf("%+v, %v; want %s", r, err, python)
	}
	if asked, _ := os.ReadFile(filepath.Join(dir, "asked")); string(asked) != "5: run --frozen python\n" {
		t.Errorf("the runner got %q", asked)
	}
}

func TestInterpreterErrors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the interpreters of this test are shell scripts")
	}
	dir := t.TempDir()
	file(t, dir, "fails/python", "#!/bin/sh\necho some noise >&2\necho 'python: broken' >&2\nexit 3\n", 0o755)
	file(t, dir, "lies/python", "#!/bin/sh\necho; echo 'kept-runtime: {\"version\": 3}'\n", 0o755)
	file(t, dir, "quiet/python", "#!/bin/sh\necho hello\n", 0o755)
	file(t, dir, "slow/python", "#!/bin/sh\nsleep 100 &\nwait\n", 0o755)

	r, err := Interpreter(t.Context(), "quiet/python x.py", dir, os.Environ())
	if r != nil || err != nil {
		t.Errorf("an interpreter that says nothing: %v, %v", r, err)
	}
	var probe *ProbeError
	if _, err := Interpreter(t.Context(), "missing/python x.py", dir, nil); !errors.As(err, &probe) || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("an interpreter that is missing: %v", err)
	}
	_, err = Interpreter(t.Context(), "fails/python x.py", dir, os.Environ())
	if !errors.As(err, &probe) || probe.Stderr != "python: broken" || probe.Program != "fails/python" {
		t.Errorf("an interpreter that fails: %v", err)
	}
	if _, err := Interpreter(t.Context(), "lies/python x.py", dir, os.Environ()); !errors.Is(err, errAnswer) {
		t.Errorf("an interpreter that answers nonsense: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := Interpreter(ctx, "slow/python x.py", dir, os.Environ()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an interpreter that hangs: %v", err)
	}
	if waited := time.Since(begin); waited > 20*time.Second {
		t.Errorf("waited %v for an interpreter that hangs", waited)
	}
}

func BenchmarkInterpreter(b *testing.B) {
	python, err := exec.LookPath("python3")
	if err != nil {
		b.Skip("no python3")
	}
	for b.Loop() {
		if r, err := Interpreter(b.Context(), quote(python)+" x.py", b.TempDir(), os.Environ()); r == nil {
			b.Fatal(err)
		}
	}
}
