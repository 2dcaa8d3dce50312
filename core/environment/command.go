package environment

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// call is how a command starts its interpreter.
type call struct {
	// argv are the words up to and including the interpreter, without the shell.
	argv []string
	// dir and env are those of the stage, with what the command line changes in them.
	dir string
	env []string
}

// interpreterName matches the base names of Python interpreters.
var interpreterName = lazy.Regexp(`^(python|pypy)([0-9]+(\.[0-9]+)*)?t?(\.exe)?$`)

// assignment matches the unquoted start of a NAME=value word.
var assignment = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]*=`)

// findCall finds the interpreter of a shell command line. It reports false
// where there is none, where finding it would take a shell, and where the line
// starts different ones: a runtime that is recorded must be the one that ran.
func findCall(command, dir string, env []string) (call, bool) {
	tokens, ok := split(command, runtime.GOOS == "windows")
	if !ok {
		return call{}, false
	}
	line := &commandLine{dir: dir, env: env}
	for _, segment := range segments(tokens) {
		line.read(segment)
	}
	// A script of an interpreter (pip, dvc) counts only where the line does
	// not name the interpreter itself: it is often an errand before the work.
	if len(line.named) > 0 {
		return agreed(line.named)
	}
	return agreed(line.scripts)
}

// started is a call as a line makes it.
type started struct {
	call
	// alone is false behind a pipe, an alternative or a bracket.
	alone bool
	// certain is false behind what may have changed the shell unseen.
	certain bool
}

// agreed returns the one interpreter that all calls start.
func agreed(calls []started) (call, bool) {
	for i, c := range calls {
		if !c.certain || i == 0 && !c.alone || !sameInterpreter(c.call, calls[0].call) {
			return call{}, false
		}
	}
	if len(calls) == 0 {
		return call{}, false
	}
	return calls[0].call, true
}

// segment is one simple command of a line and the operator in front of it.
type segment struct {
	op    string
	words []token
}

func segments(tokens []token) []segment {
	var list []segment
	current := segment{op: ";"}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case !t.op:
			current.words = append(current.words, t)
		case strings.ContainsAny(t.text, "<>"):
			i++ // a redirection's target is no word of the command
		default:
			if len(current.words) > 0 {
				list = append(list, current)
				current = segment{op: t.text}
			} else if current.op == ";" {
				current.op = t.text
			}
		}
	}
	if len(current.words) > 0 {
		list = append(list, current)
	}
	return list
}

// commandLine is the state of the shell while it goes through a line, as far
// as it decides which interpreter starts.
type commandLine struct {
	dir string
	env []string
	// lost turns true where the state can no longer be told.
	lost bool
	// changed tells that the line changed the state that it was started with.
	changed bool
	// joins are the operators so far.
	joins []string

	named, scripts []started
}

// keywords stand in front of a command and take no part in choosing it.
var keywords = []string{"!", "{", "if", "then", "else", "elif", "while", "until", "do"}

// changers change the shell that runs them in ways that are not followed here.
var changers = []string{
	"eval", "alias", "pushd", "popd", "builtin", "declare", "typeset", "readonly", "local", "read", "function", "case",
	"conda", "mamba", "micromamba", "module", "ml", "spack", "workon", "pyenv", "asdf", "mise", "nvm", "guix", "nix-shell",
}

// read takes one simple command.
func (l *commandLine) read(s segment) {
	l.joins = append(l.joins, s.op)
	words := s.words
	conditional := false
	for len(words) > 0 && words[0].bare == len(words[0].text) && slices.Contains(keywords, words[0].text) {
		words, conditional = words[1:], true
	}
	if len(words) == 0 {
		return
	}
	c, isScript, known := l.interpreter(words)
	switch {
	case !known:
		l.lost = true
	case c.argv != nil && isScript:
		l.scripts = append(l.scripts, l.start(c))
	case c.argv != nil:
		l.named = append(l.named, l.start(c))
	default:
		changed, known := l.change(words)
		l.changed = l.changed || changed
		l.lost = l.lost || !known || changed && conditional
	}
}

func (l *commandLine) start(c call) started {
	odd := func(op string) bool { return op != ";" && op != "&&" }
	// A change of state is sure to have happened where everything is joined
	// by && (one failure stops all) or everything by ; (nothing stops).
	mixed := func(op string) bool { return odd(op) || op != l.joins[len(l.joins)-1] }
	return started{
		call:    c,
		alone:   !slices.ContainsFunc(l.joins, odd),
		certain: !l.lost && !(l.changed && slices.ContainsFunc(l.joins[1:], mixed)),
	}
}

// change follows the built-in commands that move the shell or its environment.
func (l *commandLine) change(words []token) (changed, known bool) {
	for _, w := range words {
		if !w.literal && (isChange(words[0].text) || slices.Contains(changers, words[0].text)) {
			return true, false
		}
	}
	name, args := words[0].text, words[1:]
	switch {
	case assignment().MatchString(name):
		// Without a command it sets a variable of the shell, which reaches
		// programs only if it was exported before.
		return true, false
	case name == "cd":
		if len(args) != 1 || strings.HasPrefix(args[0].text, "-") {
			return true, false
		}
		l.dir = join(l.dir, args[0].text)
		return true, true
	case name == "export":
		for _, w := range args {
			if !assignment().MatchString(w.text) {
				return true, false
			}
			l.env = setVariable(l.env, w.text)
		}
		return true, true
	case name == "unset":
		for _, w := range args {
			l.env = unsetVariable(l.env, w.text)
		}
		return true, true
	case name == "source" || name == ".":
		return true, len(args) == 1 && l.activate(args[0].text)
	}
	return false, !slices.Contains(changers, name)
}

func isChange(name string) bool {
	return slices.Contains([]string{"cd", "export", "unset", "source", "."}, name)
}

// activate follows the activation script of a virtual environment, which is
// known by the pyvenv.cfg in the folder above it.
func (l *commandLine) activate(script string) bool {
	script = join(l.dir, script)
	bin := filepath.Dir(script)
	prefix := filepath.Dir(bin)
	if filepath.Base(script) != "activate" {
		return false
	}
	if _, err := os.Stat(filepath.Join(prefix, "pyvenv.cfg")); err != nil {
		return false
	}
	search := bin
	if old := variable(l.env, "PATH"); old != "" {
		search += string(filepath.ListSeparator) + old
	}
	l.env = setVariable(unsetVariable(l.env, "PYTHONHOME"), "PATH="+search)
	l.env = setVariable(l.env, "VIRTUAL_ENV="+prefix)
	return true
}

// interpreter reads one simple command that may start an interpreter, by its
// name or as the interpreter of a script; the zero call means that it starts
// none. The last result is false where only a shell could tell.
func (l *commandLine) interpreter(words []token) (c call, isScript, known bool) {
	c = call{dir: l.dir, env: l.env}
	for len(words) > 0 && isAssignment(words[0]) {
		if !words[0].literal {
			return call{}, false, false
		}
		c.env = setVariable(c.env, words[0].text)
		words = words[1:]
	}
	for len(words) > 0 {
		if !words[0].literal {
			return call{}, false, false
		}
		name := baseName(words[0].text)
		if interpreterName().MatchString(name) {
			c.argv = append(append(c.argv, words[0].text), isolation(words[1:])...)
			return c, false, true
		}
		if name == "env" {
			words, known = c.readEnv(words[1:])
		} else if w, ok := wrappers()[name]; ok {
			words, known = w.skip(words[1:])
		} else if r, ok := runners()[name]; ok {
			words, known = c.readRunner(r, words)
		} else {
			return c.script(words[0].text), true, true
		}
		if !known {
			return call{}, false, false
		}
	}
	return call{}, false, true
}

func isAssignment(w token) bool {
	name := assignment().FindString(w.text)
	return name != "" && w.bare >= len(name)
}

// isolation keeps those of the interpreter's own flags that change which
// packages it sees.
func isolation(words []token) []string {
	var kept []string
	for i := 0; i < len(words); i++ {
		flag := words[i].text
		if len(flag) < 2 || flag[0] != '-' || flag[1] == '-' {
			break
		}
		for j, letter := range flag[1:] {
			switch letter {
			case 'E', 'I', 's', 'S', 'P':
				kept = append(kept, "-"+string(letter))
				continue
			case 'c', 'm':
				return kept
			case 'W', 'X', 'Q':
				if j == len(flag)-2 {
					i++ // the value is the next word
				}
			default:
				continue
			}
			break
		}
	}
	return kept
}

// script follows a program that is itself a script of an interpreter, such as
// torchrun or pytest, by its first line. The zero call means that it is none.
func (c call) script(name string) call {
	file := lookPath(name, c.dir, c.env)
	if file == "" {
		return call{}
	}
	argv := interpreterLine(file)
	if len(argv) == 0 {
		return call{}
	}
	if len(argv) > 1 && baseName(argv[0]) == "env" {
		argv = argv[1:]
	}
	if !interpreterName().MatchString(baseName(argv[0])) {
		return call{}
	}
	flags := make([]token, 0, len(argv))
	for _, flag := range argv[1:] {
		flags = append(flags, token{text: flag, literal: true})
	}
	c.argv = append([]string{argv[0]}, isolation(flags)...)
	return c
}

// longLine begins the second line of scripts whose interpreter has too long a
// path for "#!", as installers write them: a shell runs it, Python reads a string.
const longLine = "'''exec' "

// interpreterLine returns the words with which a script names its interpreter.
func interpreterLine(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	first, rest, _ := strings.Cut(string(head[:n]), "\n")
	second, _, _ := strings.Cut(rest, "\n")
	if command, ok := strings.CutPrefix(second, longLine); ok && first == "#!/bin/sh" {
		tokens, ok := split(command, false)
		if !ok || len(tokens) == 0 || !tokens[0].literal {
			return nil
		}
		return []string{tokens[0].text}
	}
	line, ok := strings.CutPrefix(first, "#!")
	if !ok {
		return nil
	}
	return strings.Fields(line)
}

// sameInterpreter reports whether two calls of one line start the same interpreter.
func sameInterpreter(a, b call) bool {
	return a.dir == b.dir && slices.Equal(a.argv, b.argv) && slices.Equal(choosing(a.env), choosing(b.env))
}

// choosing returns the variables that choose an interpreter or what it sees.
func choosing(env []string) []string {
	var list []string
	for _, v := range env {
		for _, prefix := range []string{"PATH=", "PYTHON", "PYENV_", "VIRTUAL_ENV=", "CONDA_", "UV_", "POETRY_", "PDM_", "PIPENV_", "PIXI_"} {
			if strings.HasPrefix(v, prefix) {
				list = append(list, v)
			}
		}
	}
	slices.Sort(list)
	return list
}

// baseName returns the last component of a program's path. Both separators
// count: a command line may be written for Windows.
func baseName(name string) string {
	return path.Base(strings.ReplaceAll(name, `\`, "/"))
}

// join resolves a path of the command line against its folder.
func join(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// variable returns the value of a variable; the last of several settings counts.
func variable(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(env[i], "="); ok && sameVariable(key, name) {
			return value
		}
	}
	return ""
}

func setVariable(env []string, setting string) []string {
	name, _, _ := strings.Cut(setting, "=")
	return append(unsetVariable(env, name), setting)
}

func unsetVariable(env []string, name string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, v := range env {
		if key, _, _ := strings.Cut(v, "="); !sameVariable(key, name) {
			kept = append(kept, v)
		}
	}
	return kept
}

func sameVariable(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}

// lookPath finds a program the way the shell of the command does: in the
// command's folder if the name has a separator, else along the command's own
// PATH. It returns "" where there is none.
func lookPath(name, dir string, env []string) string {
	if strings.ContainsAny(name, "/"+string(filepath.Separator)) {
		return executable(join(dir, name))
	}
	for _, folder := range filepath.SplitList(variable(env, "PATH")) {
		if found := executable(filepath.Join(join(dir, folder), name)); found != "" {
			return found
		}
	}
	return ""
}

func executable(file string) string {
	if runtime.GOOS == "windows" {
		if ext := strings.ToLower(filepath.Ext(file)); ext != ".exe" && ext != ".com" {
			file += ".exe"
		}
	}
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return ""
	}
	return file
}
