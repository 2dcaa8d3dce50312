package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/internal/tomlscan"
	"github.com/kept-dev/kept/lockfile"
)

// settings are those of this clone, in config.toml of its local state. They are
// the user's: nothing that a repository brings is read from there.
type settings struct {
	// Cache is the folder of a store that this clone shares with others; "" is a
	// store of its own.
	Cache string `toml:"cache"`
	// Remote are the user's own remotes by name, and Trust those of kept.toml for
	// which the user's credentials may be used.
	Remote map[string]map[string]any `toml:"remote"`
	Trust  map[string]map[string]any `toml:"trust"`
	Hooks  struct {
		// Fetch lets the hooks of a checkout fetch what is missing.
		Fetch bool `toml:"fetch"`
	} `toml:"hooks"`
}

// maxSettings bounds config.toml in bytes.
const maxSettings = 1 << 20

// readSettings reads the settings; without a file all are what they are by default.
func (l *Local) readSettings() (settings, error) {
	var s settings
	data, err := readBounded(l.Config(), maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = tomlscan.Guard(data)
	}
	if err == nil {
		_, err = toml.Decode(string(data), &s)
	}
	if err == nil && s.Cache != "" && !filepath.IsAbs(s.Cache) {
		err = fmt.Errorf("cache is %q, want an absolute path", s.Cache)
	}
	if err != nil {
		return s, &FileError{Path: l.Config(), Err: reason(err)}
	}
	return s, nil
}

// settingsText returns the text of the settings; without a file it is empty.
func (l *Local) settingsText() ([]byte, error) {
	data, err := readBounded(l.Config(), maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &FileError{Path: l.Config(), Err: reason(err)}
	}
	return data, nil
}

// setCache writes the setting and leaves all others as they are.
func (l *Local) setCache(dir string) error {
	data, err := l.settingsText()
	if err != nil {
		return err
	}
	// A top-level key stands before all tables, so it can be put in front.
	var text bytes.Buffer
	fmt.Fprintf(&text, "cache = %s\n", lockfile.FormatValue(dir))
	top := true
	for line := range bytes.Lines(data) {
		top = top && !bytes.HasPrefix(bytes.TrimSpace(line), []byte("["))
		if key, _, _ := bytes.Cut(line, []byte("=")); !top || string(bytes.TrimSpace(key)) != "cache" {
			text.Write(line)
		}
	}
	return writeAtomic(l.Config(), l.Temp(), text.Bytes(), 0o600)
}

// CacheError reports a folder that can't be the store of this clone.
type CacheError struct {
	Dir string
	// Foreign is set where it belongs to another user and not to a group of ours.
	Foreign bool
	Err     error
}

func (e *CacheError) Error() string {
	if e.Foreign {
		return fmt.Sprintf("the cache %q belongs to another user, who does not share it with a group of yours", e.Dir)
	}
	return fmt.Sprintf("the cache %q can't be used: %v", e.Dir, e.Err)
}

// Unwrap returns e.Err.
func (e *CacheError) Unwrap() error { return e.Err }

// openStores opens the clone's store, and tells a shared one of this clone.
func (r *Repository) openStores() error {
	set, err := r.Local.readSettings()
	if err != nil {
		return err
	}
	if r.objects, err = cas.OpenLocal(r.Local.OwnStore()); err != nil {
		return err
	}
	origin := &originStore{Local: r.objects, git: r.Git}
	r.Store = origin
	if set.Cache == "" {
		// A link to a folder elsewhere makes it a shared one as well.
		info, err := os.Lstat(r.Local.OwnStore())
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return nil
		}
		if set.Cache, err = filepath.EvalSymlinks(r.Local.OwnStore()); err != nil {
			return &CacheError{Dir: r.Local.OwnStore(), Err: reason(err)}
		}
	}
	r.Local.cache = set.Cache
	if r.objects, err = cas.OpenLocal(set.Cache); err != nil {
		return &CacheError{Dir: set.Cache, Err: reason(err)}
	}
	origin.Local = r.objects
	if own, err := cas.OpenForeign(r.Local.OwnStore()); err == nil {
		origin.before = own
	}
	// A clone that was moved or copied has another name now. What can't be noted
	// keeps nobody from reading; what can't be written to needs no note.
	if r.unshared = r.Local.joinCache(); cas.IsReadOnly(r.unshared) {
		r.unshared = nil
	}
	return nil
}

// joinCache makes sure that the shared store knows this clone, so that whoever
// collects there keeps what this clone has need of.
func (l *Local) joinCache() error {
	if err := checkOwner(l.cache); err != nil {
		return err
	}
	dir := clonesOf(l.cache)
	file := filepath.Join(dir, cloneFile(l.common))
	text := cloneHeader + l.common + "\n"
	if data, err := os.ReadFile(file); err == nil && string(data) == text {
		return nil
	}
	err := disk.MakeDir(disk.OS, l.cache, dir)
	if err == nil {
		err = writeAtomic(file, dir, []byte(text), 0o600)
		disk.ShareFile(file)
	}
	if err != nil {
		return &CacheError{Dir: l.cache, Err: reason(err)}
	}
	return nil
}

// UseCache makes the store in dir that of this clone. What the clone has kept
// so far is brought over first, and what another process still puts into its
// former store is found there, until a collection has brought it over as well.
func (r *Repository) UseCache(ctx context.Context, dir string) (packs int, err error) {
	if dir == "" {
		return 0, &CacheError{Err: errors.New("no folder given")}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	release, err := r.hold(ctx, "init")
	if err != nil {
		return 0, err
	}
	defer release()
	if isInside(abs, r.Git.CommonDir) || r.Git.Root == abs {
		return 0, &CacheError{Dir: abs, Err: errors.New("it is a part of this repository")}
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return 0, &CacheError{Dir: abs, Err: reason(err)}
	}
	// As it is, for others find it by another path.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return 0, &CacheError{Dir: abs, Err: reason(err)}
	}
	if owner := ownerOfStore(abs); owner != "" {
		return 0, &CacheError{Dir: abs, Err: fmt.Errorf("it is the own store of the repository %s", owner)}
	}
	was := r.objects
	joined := r.Local
	joined.cache = abs
	if err := joined.joinCache(); err != nil {
		return 0, err
	}
	shared, err := cas.OpenLocal(abs)
	if err != nil {
		return 0, &CacheError{Dir: abs, Err: reason(err)}
	}
	if r.Local.Store() != abs {
		if packs, err = shared.Import(ctx, was); err != nil {
			return packs, err
		}
	}
	if err := r.Local.setCache(abs); err != nil {
		return packs, err
	}
	return packs, r.openStores()
}

func isInside(file, dir string) bool {
	rel, err := filepath.Rel(git.Physical(dir), git.Physical(file))
	return err == nil && filepath.IsLocal(rel)
}
