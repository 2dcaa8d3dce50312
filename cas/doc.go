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
// Many files are placed in a Session, which looks at every folder once. Where the
// file system can share blocks, Update writes only what a version of a large file
// has otherwise than the one before it:
//
//	session := placer.Session()
//	info, err = session.Update(ctx, store, "data/a.npy", was, digest, size, false)
//	err = session.Close()
//
// Many objects are put as a Batch, a folder file by file and then its manifest:
//
//	batch := store.Batch()
//	defer batch.Close()
//	digest, size, err := batch.Put(ctx, file)
//	tree = append(tree, cas.Entry{Path: "a/b.npy", Kind: cas.File, Digest: digest, Size: size})
//	err = tree.Check()                                     // portable paths, no two that are one elsewhere
//	digest, err = batch.PutBytes(ctx, tree.Marshal())
//	err = batch.Commit(ctx)                                // all of it is durable
//
// What a Local does with a content, in the order of the files to read:
//
//	missing.go   what is there already is found, many at a time
//	batch.go     small content is one blob; larger content is a stream
//	stream.go    a stream is cut into chunks (package chunk), which are blobs, where
//	guide.go     those of another version end or where the bytes say so,
//	manifest.go  and listed in a manifest
//	group.go     new blobs are gathered into groups by what they look like, and
//	             encoded (package codec), decoded and compared
//	shelf.go     groups fill packs (package pack), which go to the disk past the page
//	             cache (package disk), and are synced and published
//
// and back:
//
//	read.go      a blob is found, its group read and decoded, its hash compared
//	content.go   a manifest is followed: groups are decoded ahead of the reader
//	             (ahead.go), and hashed behind what is written (behind.go)
//	salvage.go   what is damaged goes to quarantine, what is whole beside it stays
//
// What nobody needs any more is removed by collect.go, and check.go looks whether
// all is as it should be.
//
// A store gives what it has to a remote (package remote) and gets it back:
//
//	transfer.go  what is wanted, and what came of it
//	root.go      which packs of a remote have an object: put last, read first
//	wire.go      what both directions ask of a remote, and what it has to prove
//	known.go     what a clone remembers of it
//	push.go      what a root does not list yet goes into packs (closure.go finds it,
//	             push_learn.go what of it is there, push_plan.go and push_pack.go make
//	             packs of the rest), then the roots are put
//	fetch.go     manifests and trees are followed (fetch_walk.go), groups chosen
//	             (catalog.go, fetch_plan.go), read and verified (fetch_read.go), and
//	             contents hashed while they come (fetch_content.go)
//
// Bytes read from a Store are always verified, and so are bytes that were just
// encoded, before anybody can see them. The formats are specified in
// docs/spec/objects.md and docs/spec/store.md.
package cas
