// Package environment finds out what a stage's command ran in: the interpreter
// and the packages it sees, which the lock keeps as evidence, and the machine,
// which only the local run record keeps.
//
// Vocabulary: a runtime is the interpreter of a command with what is installed
// for it. A package is one installed distribution. A machine is everything
// about the host that is known to change results and that is cheap to read.
//
//	rt, err := environment.Interpreter(ctx, command, dir, env)  // nil where the command shows none
//	object := environment.FormatPackages(rt.Packages)           // canonical, a valid requirements.txt
//	files := environment.RequirementFiles(dir, root)            // uv.lock, requirements.txt, …
//	changes := environment.Compare(lock.Environment, &current)  // named evidence, never a verdict
//	machine := environment.Capture(ctx, environment.Place{Dir: dir, Env: env, Runtime: rt})
//
// What is not known is left out; this package does not guess. It starts only
// the interpreter that the command itself starts, and nvidia-smi or rocm-smi.
package environment

import "runtime"

// Platform returns the operating system and architecture as the lock names
// them, GOOS/GOARCH, such as "linux/amd64".
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
