package core

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/lockfile"
)

// ignoreArtifacts makes Git ignore the artifacts of a block.
func (r *run) ignoreArtifacts(ctx context.Context, block *lockfile.Stage) error {
	var paths []string
	for _, art := range block.Artifacts {
		paths = append(paths, art.Path)
	}
	lines, err := r.ignore(ctx, paths)
	r.result.Ignored = lines
	return err
}

// ignore adds the paths of the experiment that Git does not ignore yet to the
// .gitignore beside kept.toml, and returns the lines that it added.
func (p *Project) ignore(ctx context.Context, paths []string) ([]string, error) {
	paths = p.perhapsSeen(paths)
	full := make([]string, len(paths))
	for i, name := range paths {
		full[i] = p.join(name)
	}
	ignored, err := p.Git.Ignored(ctx, full)
	if err != nil {
		return nil, err
	}
	var lines []string
	for i, name := range paths {
		if !ignored[full[i]] {
			lines = append(lines, "/"+escapeIgnore(name))
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	slices.Sort(lines)
	return lines, p.appendLines(".gitignore", lines)
}

// perhapsSeen returns those of paths for which it takes a process of Git to say whether it
// ignores them.
func (p *Project) perhapsSeen(paths []string) (rest []string) {
	file := p.Workspace.Abs(p.join(".gitignore"))
	text, err := readBounded(file, maxText)
	info, lerr := os.Lstat(file)
	unknown := err != nil || lerr != nil || !info.Mode().IsRegular() // Git follows no link
	for _, name := range paths {
		if unknown || p.hasNearerIgnore(name) || !ignores(string(text), name) {
			rest = append(rest, name)
		}
	}
	return rest
}

// hasNearerIgnore reports whether something says what Git ignores in a folder between
// kept.toml and a path: it has the last word.
func (p *Project) hasNearerIgnore(name string) bool {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if _, err := os.Lstat(p.Workspace.Abs(p.join(path.Join(folder, ".gitignore")))); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// ignores reports whether a .gitignore has the line that ignore writes for a path,
// and no exception after it.
func ignores(text, name string) (found bool) {
	own := "/" + escapeIgnore(name)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == own:
			found = true
		case strings.HasPrefix(line, "!"):
			found = false
		}
	}
	return found
}

// escapeIgnore quotes what would be a pattern in .gitignore.
func escapeIgnore(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `!`, `\!`, `#`, `\#`).Replace(name)
}

// maxText bounds the size in bytes of a text file that lines are added to.
const maxText = 16 << 20

// appendLines adds lines to a text file of the experiment, which keeps its line endings.
func (p *Project) appendLines(name string, lines []string) error {
	file := p.Workspace.Abs(path.Join(p.Rel, name))
	old, err := readBounded(file, maxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	eol := "\n"
	if strings.Contains(string(old), "\r\n") {
		eol = "\r\n"
	}
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += eol
	}
	text += strings.Join(lines, eol) + eol
	return writeAtomic(file, p.Local.Temp(), []byte(text), mode)
}
