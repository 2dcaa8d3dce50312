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
