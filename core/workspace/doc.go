// Package workspace reads the files of one working tree: it hashes files and
// folders, remembers what it hashed by their stat data, and puts their bytes
// into a store.
//
//	ws := workspace.Open(root, cacheFile)
//	object, err := ws.Scan(ctx, "models")        // digest, size, tree
//	object, err = ws.Keep(ctx, store, "models")  // the same, and the bytes are stored
//	ws.Close()                                   // writes the stat cache
//
// Paths are relative to the root of the working tree, with forward slashes.
// Nothing is read through a symbolic link that leads out of a folder: links
// inside a folder are kept as links.
package workspace
