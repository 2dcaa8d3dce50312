package environment

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Runtime is the interpreter of a command and what is installed for it.
type Runtime struct {
	// Name is "python" for CPython, else the implementation ("pypy").
	Name string `json:"name"`
	// Version is the language version as the interpreter writes it, such as "3.11.7".
	Version string `json:"version"`
	// Executable is the absolute path of the interpreter as it knows itself.
	Executable string `json:"executable,omitempty"`
	// Prefix is the virtual environment, or the installation where there is none.
	Prefix string `json:"prefix,omitempty"`
	// BasePrefix is the installation behind the virtual environment.
	BasePrefix string `json:"base_prefix,omitempty"`
	// Build is what the interpreter tells of its build: revision, date, compiler.
	Build string `json:"build,omitempty"`
	// ABI is the suffix of its extension modules, such as ".cpython-311-x86_64-linux-gnu.so".
	ABI string `json:"abi,omitempty"`
	// Libc is the C library that the interpreter runs with, such as "glibc 2.36".
	Libc string `json:"libc,omitempty"`
	// BLAS names the linear algebra libraries that numpy and scipy bring. Their
	// kernels decide the last bits of a matrix product.
	BLAS []string `json:"blas,omitempty"`
	// Packages are the distributions that the interpreter sees, in the order of its path.
	Packages []Package `json:"packages,omitempty"`
}

// String returns the form of the lock, such as "python 3.11.7".
func (r *Runtime) String() string { return r.Name + " " + r.Version }

// ProbeError reports that the interpreter of a command could not be asked.
type ProbeError struct {
	// Program is the word of the command that should have started.
	Program string
	// Stderr is the end of what it wrote to standard error.
	Stderr string
	Err    error
}

func (e *ProbeError) Error() string {
	text := fmt.Sprintf("ask interpreter %q: %v", e.Program, e.Err)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

func (e *ProbeError) Unwrap() error { return e.Err }

const (
	// probeTime bounds one question. An interpreter answers within a tenth of
	// a second; a runner that first installs packages takes much longer.
	probeTime = 30 * time.Second
	// probeSize bounds what the interpreter may print; a thousand packages take 40 KB.
	probeSize = 16 << 20
	// probeMark stands in front of the answer: runners print lines of their own.
	probeMark = "kept-runtime: "
)

//go:embed probe.py
var probeSource string

// probeArgument is the probe in one line: `conda run` refuses arguments of
// several lines. A quoted Go string of ASCII text is the same string in Python.
func probeArgument() string { return "exec(" + strconv.QuoteToASCII(probeSource) + ")" }

// Interpreter finds the interpreter that a stage's shell command starts and
// asks it for its version and packages. dir is the folder and env the
// environment that the command gets. It returns nil where the command does not
// show an interpreter, where only a shell could tell which it is, and where it
// is older than Python 3.6. An interpreter that is shown but does not answer
// gives a *ProbeError.
//
// The command's own words up to the interpreter are started, without a shell:
// `uv run --frozen python train.py` asks `uv run --frozen python`. Words that
// do not choose the interpreter (time, nice, nohup, timeout) are left out. Where
// a runner may install packages first, ask after the command has run.
func Interpreter(ctx context.Context, command, dir string, env []string) (*Runtime, error) {
	c, ok := findCall(command, dir, env)
	if !ok {
		return nil, nil
	}
	return c.probe(ctx)
}

func (c call) probe(ctx context.Context) (*Runtime, error) {
	program := lookPath(c.argv[0], c.dir, c.env)
	if program == "" {
		return nil, &ProbeError{Program: c.argv[0], Err: exec.ErrNotFound}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	stdout, stderr := &limitedBuffer{limit: probeSize}, &limitedBuffer{limit: 4 << 10}
	cmd := exec.CommandContext(ctx, program, append(c.argv[1:len(c.argv):len(c.argv)], "-c", probeArgument())...)
	// Interpreters find their virtual environment by the name they are called by.
	cmd.Args[0] = c.argv[0]
	cmd.Dir, cmd.Env = c.dir, probeEnvironment(c.env)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	endWithChildren(cmd)
	if err := cmd.Run(); err != nil {
		if cause := ctx.Err(); cause != nil {
			err = cause
		}
		return nil, &ProbeError{Program: c.argv[0], Stderr: lastLine(stderr.Bytes()), Err: err}
	}
	runtime, err := parseAnswer(stdout.Bytes())
	if err != nil {
		return nil, &ProbeError{Program: c.argv[0], Stderr: lastLine(stderr.Bytes()), Err: err}
	}
	return runtime, nil
}

// probeEnvironment takes out what would give the probe an effect: an
// interactive interpreter behind it, measuring of coverage, events in the run.
func probeEnvironment(env []string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if name == "PYTHONINSPECT" || name == "COVERAGE_PROCESS_START" || strings.HasPrefix(name, "KEPT_") {
			continue
		}
		kept = append(kept, v)
	}
	return append(kept, "PYTHONDONTWRITEBYTECODE=1")
}

var errAnswer = errors.New("the answer is not the one of the probe")

// parseAnswer reads what the probe printed. No answer at all is what an
// interpreter older than Python 3.6 gives.
func parseAnswer(stdout []byte) (*Runtime, error) {
	_, line, found := bytes.Cut(stdout, []byte("\n"+probeMark))
	if !found {
		return nil, nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	var answer struct {
		Runtime
		Implementation string      `json:"implementation"`
		Packages       [][2]string `json:"packages"` // shadows the one of Runtime
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if answer.Version == "" || answer.Implementation == "" {
		return nil, errAnswer
	}
	r := answer.Runtime
	r.Name = answer.Implementation
	if r.Name == "cpython" {
		r.Name = "python"
	}
	r.Build = strings.Join(strings.Fields(r.Build), " ")
	for _, p := range answer.Packages {
		r.Packages = append(r.Packages, Package{Name: p[0], Version: p[1]})
	}
	return &r, nil
}

// lastLine returns the last line of a program's complaint: for Python that is
// the error itself.
func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// limitedBuffer keeps the end of what is written to it, at most limit bytes
// and what the last write brought.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if over := b.Len() + len(p) - b.limit; over > 0 {
		b.Next(min(over, b.Len()))
	}
	return b.Buffer.Write(p)
}
