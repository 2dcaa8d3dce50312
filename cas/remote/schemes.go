package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Settings are those of one remote, by the keys of its table in kept.toml but for
// url. What a kind does not know it refuses.
type Settings map[string]string

// Opener opens a remote of one kind. It asks the remote for nothing that its
// first use would not ask for. Credentials come from where the field keeps them, never
// from the URL or the settings.
type Opener func(ctx context.Context, u *URL, s Settings) (Remote, error)

// Schemes are the kinds of remotes by the scheme of their URLs.
type Schemes map[string]Opener

// Open opens the remote at u. An unknown scheme is an error that names those which
// there are.
func (s Schemes) Open(ctx context.Context, u *URL, settings Settings) (Remote, error) {
	open, ok := s[u.Scheme]
	if !ok {
		known := slices.Sorted(maps.Keys(s))
		return nil, fmt.Errorf("%s: unknown kind of remote %q: want one of %s", u, u.Scheme, strings.Join(known, ", "))
	}
	return open(ctx, u, settings)
}

// Only returns an error that names the settings which are none of keys.
func (s Settings) Only(keys ...string) error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		switch {
		case slices.Contains(keys, key):
		case len(keys) == 0:
			return fmt.Errorf("unknown setting %q: this kind of remote has none", key)
		default:
			return fmt.Errorf("unknown setting %q: this kind of remote knows %s", key, strings.Join(keys, ", "))
		}
	}
	return nil
}
