package core

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// Dial reaches remotes. cmd/kept, which knows what kinds there are, brings one.
type Dial struct {
	// Open opens a remote, which tries again by itself what may work then.
	Open remote.Opener
	// Ask asks the user whether the credentials may be used for a remote that a
	// repository names. nil: there is nobody to ask.
	Ask func(ctx context.Context, m *Remote) (bool, error)
	// Login reports whether who reads from a remote of this URL would be logged in, with
	// credentials of the user. nil: always.
	Login func(u *remote.URL) (bool, error)
	// Jobs is how many requests run at once; 0 leaves that to the store.
	Jobs int
}

// UntrustedError reports a remote for which the user has not said that the
// credentials may be used, or the bytes be sent there.
type UntrustedError struct {
	Remote *Remote
	// Write is set where something was to be sent.
	Write bool
	// Command is what says so, where it is another than "kept remote trust".
	Command string
}

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("%s names %s as remote %q, and you have not said yet that kept may use your credentials for it", e.Remote.File, e.Remote.Where(), e.Remote.Name)
}

// needsTrust reports whether the user has to agree before the remote is used: whoever
// wrote kept.toml would get the credentials, or the bytes.
func (m *Remote) needsTrust(write bool) bool {
	switch {
	case !m.Committed():
		return false
	case m.URL.Scheme == "file":
		return false // It is in the repository.
	case !write && m.Settings["anonymous"] == "true":
		return false
	}
	return true
}

// needsTrust is the same with what is known of the credentials that there are.
func (d *Dial) needsTrust(m *Remote, write bool) (bool, error) {
	if !m.needsTrust(write) {
		return false, nil
	}
	if write || d.Login == nil {
		return true, nil
	}
	return d.Login(m.URL)
}

// Public reports whether anybody can read from the remote: then nobody has to be asked, since no
// credentials go there.
func (d *Dial) Public(m *Remote) (bool, error) {
	needed, err := d.needsTrust(m, false)
	return !needed, err
}

// Trusted reports whether the remote may be used as it is, with credentials where it takes some.
func (r *Repository) Trusted(m *Remote) (bool, error) {
	if !m.needsTrust(true) {
		return true, nil
	}
	set, err := r.Local.readSettings()
	if err != nil {
		return false, err
	}
	return reflect.DeepEqual(set.Trust[m.id()], m.table()), nil
}

// table returns what the settings of this clone hold of a remote.
func (m *Remote) table() map[string]any {
	table := map[string]any{"url": m.URL.String()}
	for key, value := range m.Settings {
		table[key] = value
	}
	return table
}

// Trust notes that the user's credentials may be used for the remote, exactly as
// it is now: with another URL or another setting it is another one.
func (r *Repository) Trust(m *Remote) error {
	if trusted, err := r.Trusted(m); trusted || err != nil {
		return err
	}
	return r.editSettings(func(data []byte) ([]byte, error) {
		data, _, err := removeTable(data, []string{"trust", m.id()})
		if err != nil {
			return nil, err
		}
		return addTable(data, []string{"trust", m.id()}, m.table())
	})
}

// distrust takes that back.
func (r *Repository) distrust(m *Remote) error {
	return r.editSettings(func(data []byte) ([]byte, error) {
		data, _, err := removeTable(data, []string{"trust", m.id()})
		return data, err
	})
}

// editSettings changes the text of this clone's settings.
func (r *Repository) editSettings(edit func(data []byte) ([]byte, error)) error {
	data, err := r.Local.settingsText()
	if err == nil {
		data, err = edit(data)
	}
	if err != nil {
		return fmt.Errorf("change %s: %w", r.Local.Config(), err)
	}
	return writeAtomic(r.Local.Config(), r.Local.Temp(), data, 0o600)
}

// open opens a remote to read from or to write to, once the user agrees.
func (r *Repository) open(ctx context.Context, d *Dial, m *Remote, write bool) (remote.Remote, error) {
	if err := m.checkPlace(); err != nil {
		return nil, err
	}
	if err := r.agree(ctx, d, m, write); err != nil {
		return nil, err
	}
	opened, err := d.Open(ctx, m.URL, m.Settings)
	var failed *remote.Error
	switch {
	case err == nil:
		return opened, nil
	case errors.As(err, &failed) && failed.Kind == nil:
		file := m.File
		if file == "" {
			file = r.Local.Config()
		}
		return nil, &RemoteConfigError{Name: m.Name, File: file, Kind: true, Err: failed.Err}
	}
	return nil, &RemoteError{Remote: m, Op: "open", Err: err}
}

// agree returns nil if the remote may be used. It has the user say yes or no where that is
// needed and not known, and remembers a yes.
func (r *Repository) agree(ctx context.Context, d *Dial, m *Remote, write bool) error {
	asked, err := r.mayUse(ctx, d, m, write)
	if err != nil || !asked {
		return err
	}
	return r.Trust(m)
}

// mayUse is agree, and reports that the user was asked, and has said yes, where agree would
// remember that.
func (r *Repository) mayUse(ctx context.Context, d *Dial, m *Remote, write bool) (asked bool, err error) {
	needed, err := d.needsTrust(m, write)
	if err != nil || !needed {
		return false, err
	}
	trusted, err := r.Trusted(m)
	if err != nil || trusted {
		return false, err
	}
	yes := false
	if d.Ask != nil {
		if yes, err = d.Ask(ctx, m); err != nil {
			return false, err
		}
	}
	if !yes {
		return false, &UntrustedError{Remote: m, Write: write}
	}
	return true, nil
}

// RemoteError reports what could not be done with a remote.
type RemoteError struct {
	Remote *Remote
	// Op is open, push or fetch.
	Op  string
	Err error
}

func (e *RemoteError) Error() string {
	reason := strings.TrimPrefix(e.Err.Error(), e.Op+": ")
	switch e.Op {
	case "push":
		return fmt.Sprintf("push to %s: %s", e.Remote.Name, reason)
	case "fetch":
		return fmt.Sprintf("fetch from %s: %s", e.Remote.Name, reason)
	}
	return fmt.Sprintf("open %s: %s", e.Remote.Name, reason)
}

// Unwrap returns e.Err.
func (e *RemoteError) Unwrap() error { return e.Err }

// knownOf is the folder for what was learned about a remote.
func (r *Repository) knownOf(m *Remote) string {
	return filepath.Join(r.Local.Remotes(), m.id())
}

// OpenRemote opens a remote to try it out.
func (r *Repository) OpenRemote(ctx context.Context, d *Dial, m *Remote) (remote.Remote, error) {
	return r.open(ctx, d, m, true)
}
