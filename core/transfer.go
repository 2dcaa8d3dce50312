package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// TransferOptions says what Push and Fetch move, and how.
type TransferOptions struct {
	Dial *Dial
	// Remote is the name of the remote; "" is the default one.
	Remote string
	// Paths choose among what the lock names, relative to the experiment; none is all of it.
	Paths  []string
	DryRun bool
	// Verify has Push read what the remote has, and send again what is damaged.
	Verify bool
	// Meter, which may be nil, makes what is told how far it is, for a transfer
	// with one remote.
	Meter func(m *Remote) cas.Meter
}

// Transfer is what Push or Fetch did with one remote.
type Transfer struct {
	Remote *Remote
	// Objects were moved, or would be; Present were there already.
	Objects, Present int
	// Bytes were moved, Reused were there already; both as stored.
	Bytes, Reused int64
	// Damaged is how many packs of the remote Push has found damaged.
	Damaged int
	// Missing are objects that neither side has, or that the remote doesn't.
	Missing []NeededObject
}

// NeededObject is an object with what a lock calls it.
type NeededObject struct {
	ObjectName
	Digest cas.Digest
}

// Transfers is what Push or Fetch did.
type Transfers struct {
	// List has one for each remote.
	List []Transfer
	// Without are folders of experiments for which no remote is configured.
	Without []string
}

// Missing reports whether something could not be had.
func (t *Transfers) Missing() bool {
	return slices.ContainsFunc(t.List, func(one Transfer) bool { return len(one.Missing) > 0 })
}

// Push makes the remote have what the locks of the experiment name: the one in the
// working tree, and that of HEAD.
func (p *Project) Push(ctx context.Context, o TransferOptions) (*Transfers, error) {
	needs, err := p.needsOf(ctx, true)
	if err == nil {
		needs, err = p.chooseNeeds(needs, o.Paths)
	}
	if err != nil {
		return nil, err
	}
	m, err := p.remote(o.Remote)
	if err != nil {
		return nil, err
	}
	t, err := p.push(ctx, shipment{m, once(needs)}, o, func() []cas.Wanted { return p.basesOf(ctx, p.LockPath(), needs) })
	return &Transfers{List: []Transfer{t}}, err
}

// Fetch makes the store have what the lock in the working tree names.
func (p *Project) Fetch(ctx context.Context, o TransferOptions) (*Transfers, error) {
	needs, err := p.needsOf(ctx, false)
	if err == nil {
		needs, err = p.chooseNeeds(needs, o.Paths)
	}
	if err != nil {
		return nil, err
	}
	m, err := p.remote(o.Remote)
	if err != nil {
		return nil, err
	}
	t, err := p.fetch(ctx, shipment{m, once(needs)}, o)
	return &Transfers{List: []Transfer{t}}, err
}

// PushAll is Push for every lock of the clone, in all of history.
func (r *Repository) PushAll(ctx context.Context, o TransferOptions) (*Transfers, error) {
	return r.eachShipment(ctx, o, func(s shipment) (Transfer, error) {
		return r.push(ctx, s, o, func() []cas.Wanted { return nil })
	})
}

// FetchAll is Fetch for every lock of the clone, in all of history.
func (r *Repository) FetchAll(ctx context.Context, o TransferOptions) (*Transfers, error) {
	return r.eachShipment(ctx, o, func(s shipment) (Transfer, error) { return r.fetch(ctx, s, o) })
}

func (r *Repository) eachShipment(ctx context.Context, o TransferOptions, do func(shipment) (Transfer, error)) (*Transfers, error) {
	n, err := r.namer(ctx)
	if err != nil {
		return nil, err
	}
	needs, err := n.needs(ctx)
	if err != nil {
		return nil, err
	}
	list, without, err := r.route(needs, o.Remote, r.tablesAt)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && len(needs) > 0 {
		return nil, &NoRemoteError{Name: o.Remote}
	}
	all := &Transfers{Without: without}
	for _, s := range list {
		t, err := do(s)
		all.List = append(all.List, t)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// remote returns the remote of the experiment with that name, or the default one.
func (p *Project) remote(name string) (*Remote, error) {
	list, err := p.Remotes()
	if err != nil {
		return nil, err
	}
	return ChooseRemote(list, name)
}

// once leaves one need for each object.
func once(needs []need) []need {
	seen := map[cas.Digest]bool{}
	return slices.DeleteFunc(slices.Clone(needs), func(n need) bool {
		was := seen[n.digest]
		seen[n.digest] = true
		return was
	})
}

// options are those for the store.
func (r *Repository) options(m *Remote, o TransferOptions) cas.TransferOptions {
	opts := cas.TransferOptions{Jobs: o.Dial.Jobs, Known: r.knownOf(m), DryRun: o.DryRun, Verify: o.Verify}
	if o.Meter != nil {
		opts.Meter = o.Meter(m)
	}
	return opts
}

func (t *Transfer) add(more *cas.Transferred) {
	t.Objects += more.Objects
	t.Present += more.Present
	t.Bytes += more.Bytes
	t.Reused += more.Reused
	t.Damaged = max(t.Damaged, more.Damaged) // a second look finds the same ones
}

// push makes the remote have what is needed. What this clone does not have counts
// as missing only if the remote does not have it either.
func (r *Repository) push(ctx context.Context, s shipment, o TransferOptions, bases func() []cas.Wanted) (Transfer, error) {
	t := Transfer{Remote: s.remote}
	if len(s.needs) == 0 {
		return t, nil
	}
	release, err := r.useStore(ctx)
	if err != nil {
		return t, err
	}
	defer release()
	to, err := r.open(ctx, o.Dial, s.remote, true)
	if err != nil {
		return t, err
	}
	defer to.Close()
	opts := r.options(s.remote, o)
	if !r.allPushed(s) {
		opts.Bases = bases()
	}
	done, err := r.objects.Push(ctx, to, wantedOf(s.needs), opts)
	if done != nil {
		t.add(done)
	}
	if err == nil && len(done.Missing) > 0 {
		err = r.pushRest(ctx, to, &t, named(s.needs, done.Missing), opts)
	}
	if err != nil {
		return t, &RemoteError{Remote: s.remote, Op: "push", Err: err}
	}
	return t, nil
}

// pushRest pushes what the store of the repository has that this one was cloned from.
func (r *Repository) pushRest(ctx context.Context, to remote.Remote, t *Transfer, rest []need, opts cas.TransferOptions) error {
	lacking, err := r.lacking(ctx, rest)
	if err != nil {
		return err
	}
	if here := without(rest, lacking); len(here) > 0 {
		done, err := r.objects.Push(ctx, to, wantedOf(here), opts)
		if err != nil {
			return err
		}
		t.add(done)
		lacking = append(lacking, named(here, done.Missing)...)
	}
	t.Missing = objectsOf(lacking)
	return nil
}

// fetch makes the store have what is needed, and asks the remote for nothing that is here.
func (r *Repository) fetch(ctx context.Context, s shipment, o TransferOptions) (Transfer, error) {
	t := Transfer{Remote: s.remote}
	release, err := r.useStore(ctx)
	if err != nil {
		return t, err
	}
	defer release()
	lacking, err := r.lacking(ctx, s.needs)
	t.Present = len(s.needs) - len(lacking)
	if err != nil || len(lacking) == 0 {
		return t, err
	}
	from, err := r.open(ctx, o.Dial, s.remote, false)
	if err != nil {
		return t, err
	}
	defer from.Close()
	done, err := r.objects.Fetch(ctx, from, wantedOf(lacking), r.options(s.remote, o))
	if done != nil {
		t.add(done)
		t.Missing = objectsOf(named(lacking, done.Missing))
	}
	if err != nil {
		return t, &RemoteError{Remote: s.remote, Op: "fetch", Err: err}
	}
	return t, nil
}

// named returns those of the needs whose digests are in the list.
func named(needs []need, digests []cas.Digest) []need {
	set := map[cas.Digest]bool{}
	for _, d := range digests {
		set[d] = true
	}
	var list []need
	for _, n := range needs {
		if set[n.digest] {
			list = append(list, n)
		}
	}
	return list
}

// without returns those of the needs that are not in other.
func without(needs, other []need) []need {
	set := map[cas.Digest]bool{}
	for _, n := range other {
		set[n.digest] = true
	}
	return slices.DeleteFunc(slices.Clone(needs), func(n need) bool { return set[n.digest] })
}

func objectsOf(needs []need) []NeededObject {
	var list []NeededObject
	for _, n := range needs {
		list = append(list, NeededObject{n.ObjectName, n.digest})
	}
	return list
}

// allPushed reports whether this clone remembers that the remote has all of it.
func (r *Repository) allPushed(s shipment) bool {
	digests := make([]cas.Digest, len(s.needs))
	for i, n := range s.needs {
		digests[i] = n.digest
	}
	pushed, err := cas.Pushed(r.knownOf(s.remote), digests)
	return err == nil && !slices.ContainsFunc(digests, func(d cas.Digest) bool { return !pushed[d] })
}

const (
	// mostBases is how many earlier versions are worth a question, baseCommits how
	// far back they are looked for.
	mostBases   = 48
	baseCommits = 24
)

// basesOf returns earlier versions of what is needed, the newest first: the remote
// has them, if anybody pushed, and they may have much in common with it.
func (r *Repository) basesOf(ctx context.Context, lockPath string, needs []need) []cas.Wanted {
	commits, err := r.Git.Log(ctx, lockPath, git.LogOptions{})
	if err != nil {
		return nil // They only make it faster.
	}
	wanted := map[string]bool{}
	known := map[cas.Digest]bool{}
	for _, n := range needs {
		wanted[n.Path] = wanted[n.Path] || n.Path != ""
		known[n.digest] = true
	}
	var blobs []string
	for _, c := range commits {
		if c.New != "" && !slices.Contains(blobs, c.New) && len(blobs) < baseCommits {
			blobs = append(blobs, c.New)
		}
	}
	var bases []cas.Wanted
	var parser lockfile.Parser
	err = r.Git.ReadBlobs(ctx, blobs, func(_ int, data []byte, err error) {
		if err != nil {
			return
		}
		lock, err := parser.Parse(data)
		if err != nil {
			return
		}
		for _, a := range artifactsOf(lock) {
			if wanted[path.Join(parent(lockPath), a.Path)] && !known[a.Hash] && len(bases) < mostBases {
				known[a.Hash] = true
				bases = append(bases, cas.Wanted{Digest: a.Hash, Folder: a.Folder})
			}
		}
	})
	if err != nil {
		return nil
	}
	return bases
}

// unpushed returns the artifacts of the lock that are in the store and of which this
// clone does not know that the remote has them. It asks nobody.
func (p *Project) unpushed(ctx context.Context, lock *lockfile.Lock, m *Remote) ([]namedArtifact, error) {
	arts := artifactsOf(lock)
	digests := make([]cas.Digest, len(arts))
	for i, a := range arts {
		digests[i] = a.Hash
	}
	pushed, err := cas.Pushed(p.knownOf(m), digests)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return slices.DeleteFunc(arts, func(a namedArtifact) bool {
		if pushed[a.Hash] {
			return true
		}
		_, err := p.objects.Stat(ctx, a.Hash)
		return err != nil
	}), nil
}

// NotOnRemoteError reports an object that a remote does not have.
type NotOnRemoteError struct {
	Remote *Remote
	Object NeededObject
}

func (e *NotOnRemoteError) Error() string {
	return fmt.Sprintf("%s does not have %s %s %s", e.Remote.Text, e.Object.Kind, e.Object.Name, e.Object.Digest.Short())
}
