// Package core holds kept's verbs on a repository as functions that return
// values: run, add, restore, status, verify, diff, gate, history, blame, bisect,
// resolve. It prints nothing and decides no exit code; typed errors say what
// happened. What can be worked out from values alone is in the packages below.
//
// A Project is one kept.toml with the kept.lock beside it:
//
//	p, err := core.Open(dir)            // the nearest kept.toml upwards
//	results, err := p.Run(ctx, ...)     // command → artifacts in the store → lock
//	report, err := core.Restore(ctx, …) // lock → store → working tree
//
// What goes with the clone and is never committed lies in .git/kept, see Local.
package core
