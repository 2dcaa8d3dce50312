// Package lockfile reads and writes kept.lock, the committed record of an
// experiment's runs of record, and compares and merges two of them.
//
// The format is specified in docs/spec/lockfile.md.
//
//	lock, err := lockfile.Parse(data)   // refuses what nobody measured
//	lock.Stages["train"] = block
//	err = lock.Check()                  // values of unknown origin only
//	data = lock.Marshal()               // one canonical encoding, results filled in
//
//	changes := lockfile.Diff(base, lock)
//	data, conflicts, err = lockfile.Merge(base, ours, theirs, lockfile.MergeOptions{})
//	u, err := lockfile.ParseUnmerged(data, &versions)  // settle conflicts block by block
//	u.Settle(u.Conflicts[0], u.Conflicts[0].Ours)
package lockfile

import "github.com/kept-dev/kept/cas"

// Name is the file name of a lock; it lies beside the kept.toml that it records.
const Name = "kept.lock"

// Version is the newest format version that this package reads and the one it writes.
const Version = 1

// Lock is the content of one kept.lock.
type Lock struct {
	// Stages holds one block per stage, by stage name.
	Stages map[string]*Stage
	// Artifacts holds data kept without a stage, by artifact name.
	Artifacts map[string]*Artifact
	// Unknown holds top-level keys that this version does not know; they are written back as they were.
	Unknown map[string]any
}

// Stage is the record of one stage's run of record. All of it is measured by
// the same run, which is why it is merged as a whole or not at all.
type Stage struct {
	// Result is the digest of the rest of the block, see Stage.Digest. Marshal sets it.
	Result  cas.Digest
	Command string
	// Artifacts maps artifact names to what the command wrote.
	Artifacts map[string]*Artifact
	// Code maps paths to the digests of the code that ran. Git keeps the bytes.
	Code map[string]*Input
	// Environment is evidence of where the command ran; nil where nothing is known.
	Environment *Environment
	// History maps metric names to the digest of their series by step.
	History map[string]cas.Digest
	// Inputs maps paths to the data that the command read.
	Inputs map[string]*Input
	// Metrics maps dotted keys to numbers (int64 or float64).
	Metrics map[string]Value
	// Logged maps the names of parameters that the program itself logged to
	// their values. They come out of the run and can't make a stage stale.
	Logged map[string]Value
	// Params maps dotted keys to the values that the params files held.
	Params map[string]Value
	// Unknown holds keys of the block that this version does not know.
	Unknown map[string]any
}

// Artifact is a file or folder that a stage wrote or that `kept add` keeps.
type Artifact struct {
	// Path is relative to the folder of the lock, with forward slashes.
	Path string
	// Hash is the digest of the file's content, or of the tree manifest of a folder.
	Hash cas.Digest
	// Size is the plain size in bytes; for a folder the sum over its files.
	Size int64
	// Files is the number of entries of a folder and 0 for a file.
	Files int64
	// Folder tells a folder (also an empty one) from a file.
	Folder bool
	// Executable is the owner's execute permission of a file.
	Executable bool
	// Unknown holds keys that this version does not know.
	Unknown map[string]any
}

// Input is a file or folder that a stage read, as data or as code.
type Input struct {
	Hash cas.Digest
	// Size is the plain size in bytes. Code carries none: it is written only where Sized is true.
	Size  int64
	Sized bool
	// Files and Folder are as in Artifact.
	Files  int64
	Folder bool
	// Unknown holds keys that this version does not know.
	Unknown map[string]any
}

// Environment is where a stage ran, as far as it is the same on every machine
// with the same set-up.
type Environment struct {
	// Packages is the digest of the package list (lines "name==version"); zero where it is not known.
	Packages cas.Digest
	// Platform is GOOS/GOARCH, such as "linux/amd64".
	Platform string
	// Runtime is the interpreter and its version, such as "python 3.11.7"; empty where it is not known.
	Runtime string
	// Files maps the paths of requirement and lock files (uv.lock, requirements.txt) to their digests.
	Files map[string]cas.Digest
	// UnknownOfFiles holds the keys of entries of Files that this version does not know, by path.
	UnknownOfFiles map[string]map[string]any
	// Unknown holds keys that this version does not know.
	Unknown map[string]any
}

// Value is a parameter or metric: a string, bool, int64, float64 or a []Value of these.
type Value = any
