package core

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// Bounds on the code that is read to tell what changed in it: far above what
// people write, and below what would be felt.
const (
	maxCodeFiles = 5000
	maxCodeText  = 1 << 20
)

// codeTree returns the files of a folder of code as a side has them, or nil
// where they are not what the side's lock recorded: code that was edited after
// the run tells nothing about the run. Git keeps code, the store does not.
func (p *Project) codeTree(ctx context.Context, side Side, folder string, recorded cas.Digest) cas.Tree {
	full, err := p.resolve(folder)
	if err != nil {
		return nil
	}
	var tree cas.Tree
	if side.Rev == WorkingTree {
		o, err := p.scanCode(ctx, full)
		if err != nil {
			return nil
		}
		tree = o.Tree()
	} else if tree = p.committedTree(ctx, side.Rev, full); tree == nil {
		return nil
	}
	if cas.Sum(tree.Marshal()) != recorded {
		return nil
	}
	return tree
}

func (p *Project) committedTree(ctx context.Context, rev, folder string) cas.Tree {
	files, err := p.Git.Tree(ctx, rev, folder)
	if err != nil || len(files) > maxCodeFiles {
		return nil
	}
	var names []string
	tree := cas.Tree{}
	for _, f := range files {
		kind, ok := map[string]cas.Kind{"100644": cas.File, "100755": cas.Executable, "120000": cas.Link}[f.Mode]
		if !ok {
			return nil
		}
		if isLeftover(f.Path) {
			continue
		}
		names = append(names, f.Path)
		tree = append(tree, cas.Entry{Path: strings.TrimPrefix(f.Path, folder+"/"), Kind: kind})
	}
	contents, err := p.readCommitted(ctx, rev, names)
	if err != nil {
		return nil
	}
	for i, data := range contents {
		tree[i].Digest, tree[i].Size = cas.Sum(data), int64(len(data))
	}
	return tree
}

// CodeFile is a file of code on both sides of a comparison.
type CodeFile struct {
	// Path is relative to the folder of kept.toml. From is the path that the file
	// had where it was renamed, and empty else.
	Path, From string
	// Old and New are the bytes, nil on a side that has no such file.
	Old, New []byte
	// Opaque says that the bytes are no text for people: binary, or more than 1 MiB.
	Opaque bool
	// Unrecorded says that a side has other bytes than those its lock recorded,
	// because the file was edited after the run.
	Unrecorded bool
}

// Code returns the files of code that differ, each once, though several stages
// may share it.
func (p *Project) Code(ctx context.Context, c *Comparison) ([]CodeFile, error) {
	var files []CodeFile
	seen := map[string]bool{}
	add := func(name, from string, old, new cas.Digest) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		f, err := p.codeFile(ctx, c, name, from, old, new)
		if err == nil && (f.Old != nil || f.New != nil) {
			files = append(files, f)
		}
		return err
	}
	for _, change := range c.Changes {
		if change.Kind != lockfile.KindCode {
			continue
		}
		old, isOld := contentHash(change.Old)
		new, isNew := contentHash(change.New)
		if isOld || isNew {
			for _, f := range change.Files {
				from := f.From
				if from != "" {
					from = path.Join(change.Name, from)
				}
				if err := add(path.Join(change.Name, f.Path), from, entryDigest(f.Old), entryDigest(f.New)); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err := add(change.Name, change.From, old, new); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func entryDigest(e *cas.Entry) cas.Digest {
	if e == nil {
		return cas.Digest{}
	}
	return e.Digest
}

// codeFile reads a file on both sides; a zero digest is a side without it.
func (p *Project) codeFile(ctx context.Context, c *Comparison, name, from string, old, new cas.Digest) (CodeFile, error) {
	f := CodeFile{Path: name, From: from}
	oldName := name
	if from != "" {
		oldName = from
	}
	var err error
	if f.Old, err = p.codeAt(ctx, c.Old, oldName, old); err != nil {
		return f, err
	}
	if f.New, err = p.codeAt(ctx, c.New, name, new); err != nil {
		return f, err
	}
	f.Opaque = opaque(f.Old) || opaque(f.New)
	f.Unrecorded = f.Old != nil && cas.Sum(f.Old) != old || f.New != nil && cas.Sum(f.New) != new
	return f, nil
}

// codeAt returns nil where the side has no such file.
func (p *Project) codeAt(ctx context.Context, side Side, name string, recorded cas.Digest) ([]byte, error) {
	full, err := p.resolve(name)
	if err != nil || recorded.IsZero() {
		return nil, err
	}
	if side.Rev == WorkingTree {
		if !p.Workspace.Exists(full) {
			return nil, nil
		}
		return readBounded(p.Workspace.Abs(full), 1<<30)
	}
	contents, err := p.readCommitted(ctx, side.Rev, []string{full})
	if err != nil {
		return nil, err
	}
	return contents[0], nil
}

// readCommitted reads files of a commit; one that is not there is nil.
func (p *Project) readCommitted(ctx context.Context, rev string, names []string) ([][]byte, error) {
	var files []git.File
	for _, name := range names {
		files = append(files, git.File{Revision: rev, Path: name})
	}
	contents, err := p.Git.ReadFiles(ctx, files)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, content := range contents {
		if content.Err != nil && !errors.Is(content.Err, fs.ErrNotExist) {
			return nil, content.Err
		}
		all = append(all, content.Data)
	}
	return all, nil
}

func opaque(data []byte) bool {
	return len(data) > maxCodeText || bytes.IndexByte(data, 0) >= 0
}
