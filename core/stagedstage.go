package core

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// stagedStage compares one stage's block with what a commit has of its sources.
//
// The lock holds digests of files as they lie in the working tree, and what is
// committed of them may be other bytes: with core.autocrlf or a clean filter. So
// a committed file is the recorded one if one of these has the recorded digest:
//
//   - the committed bytes themselves,
//   - the file in the working tree, if it is what Git makes those bytes of,
//   - what a checkout would make of the committed bytes.
type stagedStage struct {
	*commit
	p     *Project
	stage *pipeline.Stage
	block *lockfile.Stage
}

// content is one form of a committed file.
type content struct {
	digest cas.Digest
	size   int64
	// data is there for params files.
	data []byte
}

// stale returns the reasons for which the block is not of this commit.
func (s *stagedStage) stale(ctx context.Context) ([]pipeline.Reason, error) {
	entries, err := s.sources()
	if err != nil {
		return nil, err
	}
	params := map[string]bool{}
	for _, source := range s.stage.Params {
		params[s.p.join(source.File)] = true
	}
	files := map[string]content{}
	err = s.Git.Blobs(ctx, entries, func(e git.StagedEntry, data []byte) {
		c := content{digest: cas.Sum(data), size: int64(len(data))}
		if params[e.Path] {
			c.data = data
		}
		files[e.Path] = c
	})
	if err != nil {
		return nil, err
	}
	reasons, err := s.reasons(files)
	if err == nil && len(reasons) == 0 {
		return nil, nil
	}
	// The values of an encrypted params file, say, can be read only this way.
	if convertErr := s.convert(ctx, entries, files, params); convertErr != nil {
		return nil, convertErr
	}
	return s.reasons(files)
}

// sources returns the entries of all files that the stage reads.
func (s *stagedStage) sources() ([]git.StagedEntry, error) {
	var entries []git.StagedEntry
	add := func(name string) error {
		full, err := s.p.resolve(name)
		if err == nil {
			entries = append(entries, s.below(full)...)
		}
		return err
	}
	for _, locked := range []map[string]*lockfile.Input{s.block.Code, s.block.Inputs} {
		for name := range locked {
			if err := add(name); err != nil {
				return nil, err
			}
		}
	}
	for _, source := range s.stage.Params {
		if err := add(source.File); err != nil {
			return nil, err
		}
	}
	for _, pattern := range slices.Concat(s.stage.Code, s.stage.Inputs) {
		for _, name := range s.globbed(pattern) {
			if err := add(name); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(entries, func(a, b git.StagedEntry) int { return strings.Compare(a.Path, b.Path) })
	return slices.Compact(entries), nil
}

// globbed returns what a pattern matches in the commit; nothing for a plain path.
func (s *stagedStage) globbed(pattern string) []string {
	if !pipeline.HasMeta(pattern) {
		return nil
	}
	names := make([]string, len(s.entries))
	for i, e := range s.entries {
		names[i] = e.Path
	}
	return s.p.matching(pattern, s.p.join(pattern), names)
}

// convert replaces the content of the files that are not the recorded ones as
// they are committed by what lies, or would lie, in the working tree.
func (s *stagedStage) convert(ctx context.Context, entries []git.StagedEntry, files map[string]content, params map[string]bool) error {
	settled := s.settled(files)
	var onDisk, rest []git.StagedEntry
	for _, e := range entries {
		info, err := os.Lstat(s.Workspace.Abs(e.Path))
		switch {
		case e.Link, settled[e.Path]:
		case err == nil && info.Mode().IsRegular() && !strings.Contains(e.Path, "\n"):
			onDisk = append(onDisk, e)
		default:
			rest = append(rest, e)
		}
	}
	paths := func(list []git.StagedEntry) []string {
		var names []string
		for _, e := range list {
			names = append(names, e.Path)
		}
		return names
	}
	ids, err := s.Git.StageIDs(ctx, paths(onDisk))
	if err != nil {
		return err
	}
	for i, e := range onDisk {
		if ids[i] != e.ID {
			rest = append(rest, e)
			continue
		}
		o, err := s.Workspace.Scan(ctx, e.Path)
		if err != nil {
			return err
		}
		c := content{digest: o.Digest, size: o.Size}
		if params[e.Path] {
			if c.data, err = os.ReadFile(s.Workspace.Abs(e.Path)); err != nil {
				return err
			}
		}
		files[e.Path] = c
	}
	return s.checkOut(ctx, paths(rest), files, params)
}

// settled returns the files, also those in folders, that are as recorded already.
func (s *stagedStage) settled(files map[string]content) map[string]bool {
	done := map[string]bool{}
	mark := func(locked, now map[string]*lockfile.Input) {
		for name, in := range locked {
			if now[name] == nil || now[name].Hash != in.Hash {
				continue
			}
			for _, e := range s.below(s.p.join(name)) {
				done[e.Path] = true
			}
		}
	}
	mark(s.block.Code, s.inputs(s.stage.Code, s.block.Code, files, true))
	mark(s.block.Inputs, s.inputs(s.stage.Inputs, s.block.Inputs, files, false))
	return done
}

// checkOut replaces the content of files by what a checkout makes of it.
func (s *stagedStage) checkOut(ctx context.Context, names []string, files map[string]content, params map[string]bool) (err error) {
	if len(names) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.Local.Temp(), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.Local.Temp(), "staged-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.Git.CheckOutStaged(ctx, names, dir); err != nil {
		return err
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		var c content
		c.digest, c.size, err = cas.SumReader(f)
		if err = errors.Join(err, f.Close()); err == nil && params[name] {
			c.data, err = os.ReadFile(f.Name())
		}
		if err != nil {
			return err
		}
		files[name] = c
	}
	return nil
}

// reasons compares the block with files. What the commit does not hold, data
// that kept keeps, counts as unchanged.
func (s *stagedStage) reasons(files map[string]content) ([]pipeline.Reason, error) {
	facts := pipeline.Facts{Artifacts: map[string]cas.Digest{}, Environment: s.block.Environment}
	for name, a := range s.block.Artifacts {
		facts.Artifacts[name] = a.Hash
	}
	facts.Code = s.inputs(s.stage.Code, s.block.Code, files, true)
	facts.Inputs = s.inputs(s.stage.Inputs, s.block.Inputs, files, false)
	values := map[string][]byte{}
	for _, source := range s.stage.Params {
		if c, ok := files[s.p.join(source.File)]; ok {
			values[source.File] = c.data
		}
	}
	if len(values) == len(s.paramFiles()) {
		var err error
		if facts.Params, err = s.stage.ReadParams(values); err != nil {
			return nil, s.p.within(err)
		}
		return pipeline.Stale(s.stage, s.block, facts), nil
	}
	// A params file that Git does not have can't be compared.
	facts.Params = s.block.Params
	return pipeline.Stale(s.stage, s.block, facts), nil
}

func (s *stagedStage) paramFiles() map[string]bool {
	names := map[string]bool{}
	for _, source := range s.stage.Params {
		names[source.File] = true
	}
	return names
}

// inputs returns the committed form of what the block names and patterns match.
func (s *stagedStage) inputs(patterns []string, locked map[string]*lockfile.Input, files map[string]content, code bool) map[string]*lockfile.Input {
	now := map[string]*lockfile.Input{}
	for name, in := range locked {
		full := s.p.join(name)
		switch c, ok := files[full]; {
		case in.Folder:
			now[name] = s.folder(full, in, files, code)
		case ok:
			now[name] = &lockfile.Input{Hash: c.digest, Size: in.Size, Sized: in.Sized}
		case s.has(full): // this commit removes it
		default:
			now[name] = in
		}
	}
	for _, pattern := range patterns {
		for _, name := range s.globbed(pattern) {
			if now[name] == nil {
				now[name] = &lockfile.Input{Hash: files[s.p.join(name)].digest}
			}
		}
	}
	return now
}

// folder returns a folder of code as the commit has it. A folder of data is
// taken as unchanged unless Git tracks it all.
func (s *stagedStage) folder(full string, in *lockfile.Input, files map[string]content, code bool) *lockfile.Input {
	entries := s.below(full)
	if !code && int64(len(entries)) != in.Files {
		return in
	}
	var tree cas.Tree
	for _, e := range entries {
		if code && isLeftover(e.Path) {
			continue
		}
		kind := cas.File
		switch {
		case e.Executable:
			kind = cas.Executable
		case e.Link:
			kind = cas.Link
		}
		c := files[e.Path]
		tree = append(tree, cas.Entry{Path: strings.TrimPrefix(e.Path, full+"/"), Kind: kind, Digest: c.digest, Size: c.size})
	}
	slices.SortFunc(tree, func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) })
	staged := *in
	staged.Hash, staged.Files = cas.Sum(tree.Marshal()), int64(len(tree))
	return &staged
}
