// Package cas keeps bytes under the hash of their content and puts them back
// into a working tree.
//
// A Digest names content. An object is content in a Store; a Tree is the
// manifest of a folder, itself kept as an object. A Local is a Store in a
// folder of this machine. A Placer writes objects as files below a root and
// trusts no path that a repository brings.
//
//	store, err := cas.OpenLocal(".git/kept/store")
//	digest, size, err := store.Put(ctx, file)              // durable when it returns
//	placer := cas.NewPlacer(worktree, store.TempDir())
//	info, err := placer.File(ctx, store, "models/model.pkl", digest, size, false) // the old file or the new one, never half
//
// A folder is put file by file, then its manifest:
//
//	tree = append(tree, cas.Entry{Path: "a/b.npy", Kind: cas.File, Digest: digest, Size: size})
//	err := tree.Check()                                    // portable paths, no two that are one elsewhere
//	digest, _, err := store.Put(ctx, bytes.NewReader(tree.Marshal()))
//
// Bytes read from a Store are always verified, and so are bytes that were just
// written, before anybody can see them. The formats are specified in
// docs/spec/objects.md.
package cas
