// Command kept keeps machine-learning experiments in Git: it records runs in a
// committed lock, keeps their artifacts in a store, and restores them with
// every checkout.
//
// This package is the front end. It reads flags, calls core, and is the only
// place that prints, gives hints and chooses exit codes.
package main

import "os"

func main() { os.Exit(run(os.Args[1:])) }
