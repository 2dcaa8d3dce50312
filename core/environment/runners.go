package environment

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kept-dev/kept/internal/lazy"
)

// flags says which flags of a program take a value in the next word. A flag
// that is in neither list leaves open which word is the command, so the line
// is not read any further.
type flags struct {
	alone  []string
	valued []string
	// attached matches flags that carry their value, such as -oL.
	attached func() *regexp.Regexp
	// operands is the number of words between the flags and the command.
	operands int
}

// skip returns the words behind the flags and operands.
func (f flags) skip(words []token) ([]token, bool) {
	for len(words) > 0 && strings.HasPrefix(words[0].text, "-") && words[0].text != "-" {
		flag := words[0].text
		name, _, hasValue := strings.Cut(flag, "=")
		words = words[1:]
		switch {
		case flag == "--":
			return f.skipOperands(words)
		case hasValue && slices.Contains(f.valued, name), slices.Contains(f.alone, flag):
		case f.attached != nil && f.attached().MatchString(flag):
		case slices.Contains(f.valued, flag) && len(words) > 0:
			words = words[1:]
		default:
			return nil, false
		}
	}
	return f.skipOperands(words)
}

func (f flags) skipOperands(words []token) ([]token, bool) {
	if len(words) < f.operands {
		return nil, false
	}
	return words[f.operands:], true
}

// wrappers run a command as it is: they choose its priority, its processors or
// its life time but not its interpreter. They are left out of the probe, which
// must neither write their output files nor wait for their resources.
var wrappers = sync.OnceValue(func() map[string]flags {
	return map[string]flags{
		"time":       {alone: []string{"-p", "-v", "-l", "-a"}, valued: []string{"-o", "-f", "--output", "--format"}},
		"nice":       {valued: []string{"-n", "--adjustment"}, attached: lazy.Regexp(`^-n?-?[0-9]+$`)},
		"ionice":     {alone: []string{"-t"}, valued: []string{"-c", "-n", "--class", "--classdata"}, attached: lazy.Regexp(`^-[cn][0-9]$`)},
		"nohup":      {},
		"exec":       {},
		"command":    {},
		"setsid":     {alone: []string{"-w", "--wait", "-f", "--fork"}},
		"stdbuf":     {valued: []string{"-i", "-o", "-e", "--input", "--output", "--error"}, attached: lazy.Regexp(`^-[ioe][0L]$`)},
		"timeout":    {alone: []string{"--foreground", "--preserve-status", "-v", "--verbose"}, valued: []string{"-k", "-s", "--kill-after", "--signal"}, operands: 1},
		"taskset":    {alone: []string{"-c", "--cpu-list", "-a"}, operands: 1},
		"numactl":    {alone: []string{"-l", "--localalloc"}, valued: []string{"-N", "-m", "-C", "-i", "-p", "--cpunodebind", "--membind", "--physcpubind", "--interleave", "--preferred"}},
		"caffeinate": {alone: []string{"-d", "-i", "-m", "-s", "-u", "-dims", "-is"}},
		"xvfb-run":   {alone: []string{"-a", "--auto-servernum"}},
	}
})

// runner is a program that chooses the interpreter of the command behind it.
// Its words are part of the probe.
type runner struct {
	verb string
	flags
	// scripts tells that a bare *.py word is run by the runner's interpreter.
	scripts bool
}

var runners = sync.OnceValue(func() map[string]runner {
	conda := flags{
		alone:  []string{"--no-capture-output", "--live-stream", "-v", "--verbose", "-q", "--quiet"},
		valued: []string{"-n", "--name", "-p", "--prefix", "--cwd"},
	}
	return map[string]runner{
		"uv": {verb: "run", scripts: true, flags: flags{
			alone: []string{
				"--frozen", "--locked", "--no-sync", "--dev", "--no-dev", "--all-extras", "--all-groups", "--all-packages", "--isolated",
				"--active", "--offline", "-q", "--quiet", "-v", "--verbose", "--no-project", "--exact", "--no-env-file", "--no-config", "-n",
				"--no-cache", "--managed-python", "--no-managed-python", "--no-default-groups", "--no-progress",
			},
			valued: []string{
				"-p", "--python", "--with", "--with-editable", "--with-requirements", "--extra", "--no-extra", "--group", "--no-group",
				"--only-group", "--package", "--project", "--directory", "--env-file", "--index", "--default-index", "-i", "--index-url",
				"--extra-index-url", "--cache-dir", "--config-file", "--color",
			},
		}},
		"poetry":     {verb: "run"},
		"pdm":        {verb: "run", flags: flags{valued: []string{"-p", "--project"}}},
		"pipenv":     {verb: "run"},
		"hatch":      {verb: "run"},
		"rye":        {verb: "run"},
		"pixi":       {verb: "run", flags: flags{alone: []string{"--frozen", "--locked", "-q", "-v"}, valued: []string{"-e", "--environment", "--manifest-path"}}},
		"pyenv":      {verb: "exec"},
		"conda":      {verb: "run", flags: conda},
		"mamba":      {verb: "run", flags: conda},
		"micromamba": {verb: "run", flags: conda},
	}
})

// readRunner moves a runner's words into the probe. Another verb of the same
// program starts no interpreter of the stage's.
func (c *call) readRunner(r runner, words []token) ([]token, bool) {
	if len(words) < 2 || words[1].text != r.verb {
		return nil, !slices.Contains(changers, words[0].text)
	}
	rest, ok := r.skip(words[2:])
	if !ok || len(rest) == 0 {
		return nil, false
	}
	for _, w := range words[:len(words)-len(rest)] {
		if !w.literal {
			return nil, false
		}
		c.argv = append(c.argv, w.text)
	}
	if interpreterName().MatchString(baseName(rest[0].text)) {
		return rest, true
	}
	if r.scripts && rest[0].literal && strings.HasSuffix(rest[0].text, ".py") && !hasInlineMetadata(join(c.dir, rest[0].text)) {
		return []token{{text: "python", literal: true}}, true
	}
	return nil, false
}

// hasInlineMetadata reports whether a script names its own dependencies (PEP
// 723), for which the runner makes an environment of its own. A script that
// cannot be read counts as one.
func hasInlineMetadata(file string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return true // a pipe would be waited for
	}
	f, err := os.Open(file)
	if err != nil {
		return true
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return err != nil || bytes.Contains(data, []byte("# /// script"))
}

// readEnv follows `env`, which only changes the environment.
func (c *call) readEnv(words []token) ([]token, bool) {
	for len(words) > 0 {
		w := words[0]
		if !w.literal {
			return nil, false
		}
		name, isUnset := strings.CutPrefix(w.text, "--unset=")
		switch {
		case w.text == "-i" || w.text == "-" || w.text == "--ignore-environment":
			c.env = nil
		case w.text == "-u" && len(words) > 1:
			c.env = unsetVariable(c.env, words[1].text)
			words = words[1:]
		case isUnset:
			c.env = unsetVariable(c.env, name)
		case strings.HasPrefix(w.text, "-"):
			return nil, false
		case strings.Contains(w.text, "="):
			c.env = setVariable(c.env, w.text)
		default:
			return words, true
		}
		words = words[1:]
	}
	return nil, true
}
