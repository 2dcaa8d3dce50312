// Package remote is what a store elsewhere has to be able to do: keep files under
// names. It needs no server of ours and no lock.
//
// A Remote is one such place. A Schemes knows how to open each kind by its URL;
// the packages below this one are the kinds, each with the client of its field.
//
//	schemes := remote.Schemes{"s3": s3.Open, "file": file.Open}
//	url, err := remote.ParseURL("s3://team-models/sentiment")
//	r, err := schemes.Open(ctx, url, remote.Settings{"region": "eu-central-1"})
//	r = remote.Steady(r, remote.Limits{})           // retries, limits, counts
//	err = r.Put(ctx, "packs/0123.pack", file, size) // whole or not at all
//	body, err := r.Get(ctx, "packs/0123.pack", 16, 4096)
//
// A Remote knows nothing of what the files are. What their names mean, in which
// order they are written and how a reader knows that they are right is the
// business of package cas and of docs/spec/store.md. Package check has what every
// kind must do as cases that run against a user's own remote too.
package remote
