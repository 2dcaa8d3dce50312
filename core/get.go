package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// GetOptions says what Get takes from where.
type GetOptions struct {
	// URL is what "git clone" takes, Rev a branch, tag or commit; "" is what is checked out there.
	URL, Rev string
	// Name is that of an artifact, its path, or either behind the folder of its
	// experiment and a colon.
	Name string
	// Output is where it goes; "" is the base name of its path, in the current folder, and what
	// ends in a slash is the folder for it.
	Output string
	// Remote is the name of the remote there; "" is the default one.
	Remote string
	Dial   *Dial
	// Trust lets the credentials of the user be used for the remote that the other
	// repository names.
	Trust bool
	Meter func(m *Remote) cas.Meter
}

// Got is what Get did.
type Got struct {
	Name, Path string
	Artifact   *lockfile.Artifact
	// Commit is the id of the commit that it is from.
	Commit string
	// Output is where it is, Same that it was there already.
	Output string
	Same   bool
	// From says where the bytes came from: the store of a repository of this machine,
	// this clone's own, or the remote in Transfer.
	From     string
	Transfer Transfer
}

// ForeignError reports another repository from which a commit can't be had.
type ForeignError struct {
	URL string
	Err error
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("get from %s: %v", git.HideCredentials(e.URL), e.Err)
}

// Unwrap returns e.Err.
func (e *ForeignError) Unwrap() error { return e.Err }

// OccupiedError reports a place where something else is already.
type OccupiedError struct{ Path string }

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%s is there already, and is something else", e.Path)
}

// SplitSource splits what users write for a repository and a revision of it,
// "URL@REV". A folder of that very name is a repository without one, and an "@"
// before a host is not one before a revision.
func SplitSource(text string) (url, rev string) {
	if info, err := os.Stat(text); err == nil && info.IsDir() {
		return text, ""
	}
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + 3
		if j := strings.IndexByte(text[start:], '/'); j >= 0 {
			start += j
		} else {
			return text, ""
		}
	} else if host, _, ok := strings.Cut(text, ":"); ok && !strings.Contains(host, "/") {
		start = len(host)
	}
	if i := strings.LastIndexByte(text[start:], '@'); i > 0 {
		return text[:start+i], text[start+i+1:]
	}
	return text, ""
}

// getter is one Get.
type getter struct {
	*Repository // the clone that it runs in, or a makeshift one
	o           GetOptions
	temp        string
	git         *git.Repo // of the other repository
	commit      string
}

// Get takes an artifact out of another repository, and of its remote, without
// cloning it. In a clone the bytes go through its store. What is there already is never replaced.
func Get(ctx context.Context, o GetOptions) (*Got, error) {
	temp, err := os.MkdirTemp("", "kept-get-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	g := &getter{o: o, temp: temp}
	if g.Repository, err = OpenRepository("."); err != nil {
		if g.Repository, err = makeshift(temp); err != nil {
			return nil, err
		}
	}
	release, err := g.useStore(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if g.git, g.commit, err = git.Foreign(ctx, o.URL, o.Rev, filepath.Join(temp, "git")); err != nil {
		return nil, &ForeignError{URL: o.URL, Err: err}
	}
	file, art, err := g.find(ctx)
	if err != nil {
		return nil, err
	}
	got := &Got{Name: art.Name, Path: art.Path, Artifact: art.Artifact, Commit: g.commit, Output: o.Output}
	if o := got.Output; o == "" || os.IsPathSeparator(o[len(o)-1]) {
		got.Output = o + path.Base(art.Path)
	}
	return got, g.take(ctx, file, art, got)
}

// makeshift is a repository that is none, for a store that is thrown away.
func makeshift(temp string) (*Repository, error) {
	r := &Repository{Local: Local{dir: filepath.Join(temp, localName), worktree: git.Main}}
	var err error
	r.objects, err = cas.OpenLocal(r.Local.OwnStore())
	r.Store = r.objects
	return r, err
}

// find returns the artifact and the lock that names it.
func (g *getter) find(ctx context.Context) (string, *namedArtifact, error) {
	files, err := g.git.FilesAt(ctx, g.commit, lockfile.Name)
	if err != nil {
		return "", nil, err
	}
	name := g.o.Name
	if dir, rest, ok := strings.Cut(name, ":"); ok {
		file := path.Join(path.Clean(dir), lockfile.Name)
		if !slices.Contains(files, file) {
			return "", nil, &NoLockError{Where: g.where(), Dir: dir, Found: files}
		}
		files, name = []string{file}, rest
	} else if slices.Contains(files, lockfile.Name) {
		files = []string{lockfile.Name}
	}
	if len(files) != 1 {
		return "", nil, &NoLockError{Where: g.where(), Found: files}
	}
	data, err := g.git.ReadFile(ctx, g.commit, files[0])
	if err != nil {
		return "", nil, err
	}
	lock, err := lockfile.Parse(data)
	if err != nil {
		return "", nil, &FileError{Path: files[0], Rev: g.where(), Err: err}
	}
	art, err := pick(lock, name, g.where())
	var unknown *UnknownArtifactError
	if errors.As(err, &unknown) {
		unknown.Foreign = true
	}
	return files[0], art, err
}

// where names the commit.
func (g *getter) where() string { return fmt.Sprintf("%.10s", g.commit) }

// NoLockError reports that it is not clear which lock of a repository is meant, or
// that there is none.
type NoLockError struct {
	Where, Dir string
	// Found are the locks that there are.
	Found []string
}

func (e *NoLockError) Error() string {
	if len(e.Found) == 0 {
		return fmt.Sprintf("%s has no %s", e.Where, lockfile.Name)
	}
	var dirs []string
	for _, file := range e.Found {
		dirs = append(dirs, path.Dir(file))
	}
	if e.Dir != "" {
		return fmt.Sprintf("%s has no %s in %q; it has some in %s", e.Where, lockfile.Name, e.Dir, strings.Join(dirs, ", "))
	}
	return fmt.Sprintf("%s has several experiments: write FOLDER:NAME with one of %s", e.Where, strings.Join(dirs, ", "))
}

// take brings the bytes and puts them into place.
func (g *getter) take(ctx context.Context, file string, art *namedArtifact, got *Got) error {
	abs, err := filepath.Abs(got.Output)
	if err != nil {
		return err
	}
	target := *g.Repository
	target.Workspace = workspace.Open(filepath.Dir(abs), filepath.Join(g.temp, "index"))
	if err := cas.CheckPath(filepath.Base(abs)); err != nil {
		return err
	}
	current, err := target.Workspace.Scan(ctx, filepath.Base(abs))
	if err == nil && matches(current, art.Artifact) {
		got.Same = true
		return nil
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return &OccupiedError{Path: got.Output}
	}
	if err := g.bring(ctx, file, art, got); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o777); err != nil {
		return err
	}
	return target.placeNew(ctx, filepath.Dir(abs), filepath.Base(abs), art)
}

// placeNew puts an artifact where nothing is.
func (r *Repository) placeNew(ctx context.Context, root, file string, art *namedArtifact) error {
	rs := &restorer{Repository: r, place: cas.NewPlacer(root, r.Local.Temp()), report: &Restored{}, now: time.Now()}
	rs.tracked = map[string]bool{file: false}
	if err := rs.ensure(ctx, item{path: file, art: art.Artifact}); err != nil {
		return err
	}
	switch {
	case len(rs.report.Missing) > 0:
		return &UnavailableError{Name: art.Name, Err: &cas.MissingError{Digest: art.Hash}}
	case len(rs.report.Left) > 0:
		return rs.report.Left[0].Err
	}
	return nil
}

// bring makes the store have the artifact: from the store of the other repository if
// that is on this machine, else from its remote.
func (g *getter) bring(ctx context.Context, file string, art *namedArtifact, got *Got) error {
	n := need{use: use{digest: art.Hash, ObjectName: ObjectName{Kind: "artifact", Name: art.Name, Path: path.Join(parent(file), art.Path), Lock: file}}, folder: art.Folder}
	if has, err := g.has(ctx, n.wanted()); has || err != nil {
		got.From = "the store here"
		return err
	}
	if other := storeOf(g.o.URL); other != nil {
		has, err := g.copyFrom(ctx, other, art)
		if has || err != nil {
			got.From = "its store"
			return err
		}
	}
	m, err := g.remoteThere(ctx, file)
	if err != nil {
		return err
	}
	dial := *g.o.Dial
	if g.o.Trust {
		dial.Ask = func(context.Context, *Remote) (bool, error) { return true, nil }
	}
	got.From = m.Text
	got.Transfer, err = g.fetchOnce(ctx, m, n, &dial)
	if err == nil && len(got.Transfer.Missing) > 0 {
		err = &NotOnRemoteError{Remote: m, Object: got.Transfer.Missing[0]}
	}
	return err
}

// fetchOnce fetches from a remote that another repository names: a yes is for now and not noted.
func (g *getter) fetchOnce(ctx context.Context, m *Remote, n need, dial *Dial) (Transfer, error) {
	t := Transfer{Remote: m}
	if _, err := g.mayUse(ctx, dial, m, false); err != nil {
		return t, err
	}
	own := *m
	own.File = "" // The user has agreed.
	t, err := g.fetch(ctx, shipment{&own, []need{n}}, TransferOptions{Dial: dial, Meter: g.o.Meter})
	t.Remote = m
	var config *RemoteConfigError
	if errors.As(err, &config) {
		config.File = m.File
	}
	return t, err
}

// remoteThere returns the remote that the other repository names for a lock of it:
// in the commit itself, or, where that is older than the remote, in what is checked
// out there.
func (g *getter) remoteThere(ctx context.Context, file string) (*Remote, error) {
	m, err := g.remoteIn(ctx, g.commit, file)
	var none *NoRemoteError
	if errors.As(err, &none) && len(none.Known) == 0 {
		if head, failed := g.git.ForeignHead(ctx); failed == nil && head != g.commit {
			m, err = g.remoteIn(ctx, head, file)
		}
	}
	if errors.As(err, &none) {
		none.Foreign = true
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", git.HideCredentials(g.o.URL), err)
	}
	if m.URL.Scheme == "file" && localFolder(g.o.URL) == "" {
		return nil, &RemoteConfigError{Name: m.Name, File: m.File, Err: errors.New("it is a folder of that repository, which is not on this machine")}
	}
	return m, m.checkPlace()
}

// remoteIn returns the remote that a commit names.
func (g *getter) remoteIn(ctx context.Context, commit, file string) (*Remote, error) {
	tables, err := tablesAbove(parent(file), func(name string) ([]byte, error) { return g.git.ReadFile(ctx, commit, name) })
	if err != nil {
		return nil, err
	}
	there := &Repository{Git: &git.Repo{Root: filepath.Join(g.temp, "nowhere")}}
	if dir := localFolder(g.o.URL); dir != "" {
		there.Git.Root = dir
	}
	there.Workspace = workspace.Open(there.Git.Root, filepath.Join(g.temp, "there"))
	there.Local = Local{dir: filepath.Join(g.temp, "settings")}
	list, err := there.remotesOf(tables)
	if err != nil {
		return nil, err
	}
	return ChooseRemote(list, g.o.Remote)
}

// localFolder returns the folder of a repository on this machine, or "".
func localFolder(url string) string {
	dir := filepath.FromSlash(strings.TrimPrefix(url, "file://"))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	repo, err := git.At(dir)
	if err != nil {
		return ""
	}
	return repo.Root
}

// storeOf returns the store of a repository on this machine, to read from; nil where
// there is none.
func storeOf(url string) *cas.Local {
	dir := localFolder(url)
	if dir == "" {
		return nil
	}
	repo, err := git.At(dir)
	if err != nil {
		return nil
	}
	local := NewLocal(repo)
	if set, err := local.readSettings(); err == nil {
		local.cache = set.Cache
	}
	store, err := cas.OpenForeign(local.Store())
	if err != nil {
		return nil
	}
	return store
}

// copyFrom copies an artifact out of another store, if that has it whole.
func (g *getter) copyFrom(ctx context.Context, from *cas.Local, art *namedArtifact) (bool, error) {
	copied := func(d cas.Digest) (bool, error) {
		r, err := from.Open(ctx, d)
		if err == nil {
			_, _, err = g.objects.Put(ctx, r)
			err = errors.Join(err, r.Close())
		}
		var missing *cas.MissingError
		var corrupt *cas.CorruptError
		if errors.As(err, &missing) || errors.As(err, &corrupt) {
			return false, nil
		}
		return err == nil, err
	}
	has, err := copied(art.Hash)
	if !has || err != nil || !art.Folder {
		return has, err
	}
	tree, err := g.tree(ctx, art.Hash)
	if err != nil {
		return false, err
	}
	for _, e := range tree {
		if has, err := copied(e.Digest); !has || err != nil {
			return has, err
		}
	}
	return true, nil
}
