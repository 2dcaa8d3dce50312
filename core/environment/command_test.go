package environment

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct{ command, want string }{
		{`python train.py`, `[python] [train.py]`},
		{`python 'a b' "c d" e\ f`, `[python] [a b] [c d] [e f]`},
		{`a&&b||c;d|e&f`, `[a] && [b] || [c] ; [d] | [e] & [f]`},
		{"a\\\n b\nc", `[a] [b] ; [c]`},
		{`a # b && c`, `[a]`},
		{`a#b`, `[a#b]`},
		{`a > "x y" 2>&1`, `[a] > [x y] [2] >& [1]`},
		{`x $A "$B c" ${D:-'}'} $(e "f )" $(g)) h`, `[x] [$A]* [$B c]* [$]* [$]* [h]`},
		{"x `a && b` c", `[x] [$]* [c]`},
		{`~/bin/python *.py A=~/x a~b`, `[~/bin/python]* [*.py]* [A=~/x]* [a~b]`},
		{`"\$A \" \n"`, `[$A " \n]`},
		{`''`, `[]`},
	} {
		tokens, ok := split(tc.command, false)
		if !ok {
			t.Errorf("%s: refused", tc.command)
			continue
		}
		var got []string
		for _, token := range tokens {
			switch {
			case token.op:
				got = append(got, token.text)
			case token.literal:
				got = append(got, "["+token.text+"]")
			default:
				got = append(got, "["+token.text+"]*")
			}
		}
		if joined := strings.Join(got, " "); joined != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.command, joined, tc.want)
		}
	}
	for _, command := range []string{`a 'b`, `a "b`, `a \`, `a $(b`, `a ${b`, "a `b", "cat <<EOF\npython\nEOF", `a $'b'`, `a "$(b"`} {
		if tokens, ok := split(command, false); ok {
			t.Errorf("%s: cut into %v, want it refused", command, tokens)
		}
	}
	tokens, _ := split(`.venv\Scripts\python.exe train.py`, true)
	if len(tokens) != 2 || tokens[0].text != `.venv\Scripts\python.exe` {
		t.Errorf("on Windows: %v", tokens)
	}
}

func TestFindCall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("command lines of POSIX shells")
	}
	dir := t.TempDir()
	file(t, dir, ".venv/pyvenv.cfg", "", 0o644)
	file(t, dir, "plain.py", "import x\n", 0o644)
	file(t, dir, "inline.py", "# /// script\n# dependencies = []\n# ///\n", 0o644)
	file(t, dir, "bin/torchrun", "#!/opt/env/bin/python3 -E\n", 0o755)
	file(t, dir, "bin/pip", "#!/opt/env/bin/python3\n", 0o755)
	file(t, dir, "bin/longrun", "#!/bin/sh\n'''exec' '/a long/path/python3' \"$0\" \"$@\"\n' '''\n", 0o755)
	file(t, dir, "bin/shellrun", "#!/bin/sh\nexec python train.py\n", 0o755)
	file(t, dir, "bin/envrun", "#!/usr/bin/env python3.12\n", 0o755)
	file(t, dir, "run.py", "#!/usr/bin/env -S python3\n", 0o644)
	env := []string{"PATH=" + filepath.Join(dir, "bin"), "A=1"}

	for _, tc := range []struct{ command, want string }{
		{"python train.py", "python"},
		{"python3.11 -u train.py --seed $SEED 'x y'", "python3.11"},
		{"pypy3 train.py", "pypy3"},
		{"./venv/bin/python train.py", "./venv/bin/python"},
		{`'/opt/my env/bin/python3' train.py`, "/opt/my env/bin/python3"},
		{"python.exe train.py", "python.exe"},
		{"python3.13t train.py", "python3.13t"},
		{"python", "python"},
		{"python -m train", "python"},
		{"python -I -u -sE -m train", "python -I -s -E"},
		{"python -W error -X dev -P train.py -S", "python -P"},
		{"python -Wd -S train.py", "python -S"},
		{"python train.py > log 2>&1", "python"},
		{"python train.py | tee log", "python"},
		{"python prepare.py && python train.py", "python"},
		{"OMP_NUM_THREADS=1 python a.py && OMP_NUM_THREADS=2 python b.py", "python"},
		{"python train.py &\nwait", "python"},

		{"A=2 B='x y' python train.py", "python"},
		{"env A=2 -u C python train.py", "python"},
		{"time python train.py", "python"},
		{"time -p nice -n 5 python train.py", "python"},
		{"nice -10 ionice -c2 -n 7 python train.py", "python"},
		{"/usr/bin/time -v -o usage.txt python3 train.py", "python3"},
		{"timeout -k 5 8h python train.py", "python"},
		{"nohup stdbuf -oL taskset -c 0-3 numactl --cpunodebind=0 -m 0 python train.py", "python"},
		{"exec python train.py", "python"},

		{"uv run python train.py", "uv run python"},
		{"uv run --frozen --with torch --python=3.12 -- python train.py", "uv run --frozen --with torch --python=3.12 -- python"},
		{"uv run -p python3.11 python train.py", "uv run -p python3.11 python"},
		{"uv run plain.py --x 1", "uv run python"},
		{"poetry run python train.py", "poetry run python"},
		{"nice pdm run -p sub python train.py", "pdm run -p sub python"},
		{"conda run -n e python train.py", "conda run -n e python"},
		{"conda run --no-capture-output --prefix ./env python -u train.py", "conda run --no-capture-output --prefix ./env python"},
		{"pyenv exec python train.py", "pyenv exec python"},
		{"uv sync && uv run python train.py", "uv run python"},

		{"mkdir -p out && python train.py", "python"},
		{"mkdir -p out; python train.py", "python"},
		{"rm -rf python && python3 train.py", "python3"},
		{"set -e; python train.py", "python"},
		{"pip install -r requirements.txt && python train.py", "python"},
		{"echo $HOME && python train.py", "python"},
		{"for s in 1 2; do python train.py $s; done", "python"},
		{"if true; then python train.py; fi", "python"},

		{"torchrun --nproc 2 train.py", "/opt/env/bin/python3 -E"},
		{"longrun train.py", "/a long/path/python3"},
		{"bin/envrun train.py", "python3.12"},
	} {
		c, ok := findCall(tc.command, dir, env)
		if got := strings.Join(c.argv, " "); !ok || got != tc.want {
			t.Errorf("%s:\n got %q, %v\nwant %q", tc.command, got, ok, tc.want)
		}
	}

	for _, command := range []string{
		"",
		"make train",
		"echo python",
		"cp -r build python",
		"docker run image python train.py",
		"ssh host python train.py",
		"srun python train.py",
		"sudo python train.py",
		"bash -c 'python train.py'",
		"python2to3 x",
		"pythonic train.py",
		"shellrun",
		"./run.py", // is not executable
		"$PYTHON train.py",
		"${PYTHON:-python} train.py",
		"`which python` train.py",
		"PATH=$HOME/bin:$PATH python train.py",
		"~/env/bin/python train.py",
		"/opt/*/bin/python train.py",
		"python 'train.py",
		"cat data | python train.py",
		"(cd sub && python train.py)",
		"true || python train.py",
		"python train.py || python3 train.py",
		"python prepare.py && uv run python train.py",
		"cd a || cd b; python train.py",
		"true && cd a; python train.py",
		"if x; then cd a; fi; python train.py",
		"cd $D && python train.py",
		"cd - && python train.py",
		"eval x && python train.py",
		"conda activate e && python train.py",
		"module load python && python train.py",
		"source setup.sh && python train.py",
		"PATH=/x; python train.py",
		"uv run --unknown python train.py",
		"uv run -p python3.11 train",
		"uv run --with python train",
		"uv run inline.py",
		"uv run missing.py",
		"uv run $FLAGS python train.py",
		"env -S 'python train.py'",
		"nice --unknown python train.py",
		"torchrun x && bin/envrun y",
		"python - <<EOF\nprint(1)\nEOF",
	} {
		if c, ok := findCall(command, dir, env); ok {
			t.Errorf("%s: got %q, want nothing", command, c.argv)
		}
	}
}

// What the line does to the shell before the interpreter starts is followed.
func TestFindCallFollowsTheShell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("command lines of POSIX shells")
	}
	dir := t.TempDir()
	file(t, dir, ".venv/pyvenv.cfg", "", 0o644)
	env := []string{"PATH=/usr/bin", "PYTHONHOME=/x", "A=1"}
	venv := filepath.Join(dir, ".venv")
	for _, tc := range []struct {
		command string
		dir     string
		env     []string
	}{
		{"python x", dir, env},
		{"cd sub/deep && python x", filepath.Join(dir, "sub", "deep"), env},
		{"cd sub; cd ..; cd other\npython x", filepath.Join(dir, "other"), env},
		{"cd /srv && python x", "/srv", env},
		{"export A=2 B=3 && python x", dir, []string{"PATH=/usr/bin", "PYTHONHOME=/x", "A=2", "B=3"}},
		{"unset A && python x", dir, []string{"PATH=/usr/bin", "PYTHONHOME=/x"}},
		{"A=2 python x", dir, []string{"PATH=/usr/bin", "PYTHONHOME=/x", "A=2"}},
		{"env -u A -u PYTHONHOME C=4 python x", dir, []string{"PATH=/usr/bin", "C=4"}},
		{"env -i C=4 python x", dir, []string{"C=4"}},
		{". .venv/bin/activate && python x", dir, []string{"A=1", "PATH=" + venv + "/bin:/usr/bin", "VIRTUAL_ENV=" + venv}},
	} {
		c, ok := findCall(tc.command, dir, env)
		if !ok || c.dir != tc.dir || !slices.Equal(c.env, tc.env) {
			t.Errorf("%s:\n got %v in %s with %q\nwant %s with %q", tc.command, ok, c.dir, c.env, tc.dir, tc.env)
		}
	}
}

func FuzzFindCall(f *testing.F) {
	f.Add(`uv run --with 'a b' python x && (cd "$(y "z")"; ${p} | q) > r 2>&1 # s`)
	f.Add("env -i A=1 time -p nice -5 python -W e -Is x\n`y`")
	f.Fuzz(func(t *testing.T, command string) {
		c, ok := findCall(command, "/nowhere", []string{"PATH=/nowhere"})
		if !ok {
			return
		}
		// Nothing is ever started but known runners and interpreters.
		first := baseName(c.argv[0])
		_, isRunner := runners()[first]
		if !isRunner && !interpreterName().MatchString(first) {
			t.Errorf("%q would start %q", command, c.argv)
		}
	})
}

func file(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
