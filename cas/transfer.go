package cas

// Wanted is an object to move, with all that belongs to it.
type Wanted struct {
	Digest Digest
	// Folder says that it is the tree of a folder: the contents of its files are wanted too.
	Folder bool
}

// Meter is told what a transfer does, from several goroutines.
type Meter interface {
	// Total adds to what there is to move: bytes as they are stored, and objects.
	Total(bytes, objects int64)
	// Moved adds to the bytes that went over the wire, as they are stored.
	Moved(bytes int64)
	// Done adds to the objects that are where they should be. Reused are those bytes, as
	// stored, that did not have to move because they were there.
	Done(objects, reused int64)
}

// TransferOptions says how Push and Fetch go about it.
type TransferOptions struct {
	// Jobs is how many requests run at once; 0 is 8.
	Jobs int
	// Known is a folder of this clone's own for what was learned about the remote. It is
	// advice: what is in it may be wrong or gone. "" is none.
	Known string
	// Bases are objects that the remote probably has and that the wanted ones may have
	// much in common with, the likeliest first. Push looks at them only where Known does not help.
	Bases []Wanted
	// Verify has Push read the packs of the remote that it relies on. What is damaged there is put
	// again.
	Verify bool
	// DryRun finds out what would be moved and moves nothing.
	DryRun bool
	Meter  Meter
}

// Transferred is what Push or Fetch did, or would have done.
type Transferred struct {
	// Objects are the wanted ones that were moved, Present those that were there already.
	Objects, Present int
	// Bytes were moved, Reused were there already; both as stored.
	Bytes, Reused int64
	// Damaged is how many packs of the remote Push has found damaged.
	Damaged int
	// Missing are wanted objects that the source does not have whole. The others were
	// moved nevertheless.
	Missing []Digest
}
