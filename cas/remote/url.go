package remote

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
)

// URL is where a remote is. It holds nothing secret.
type URL struct {
	// Scheme is the kind: "s3", "gs", "az", "sftp", "https", "http", "davs", "dav", "oci" or "file".
	Scheme string
	// User is the name to log in with, where the URL has one.
	User string
	// Host is the bucket, container, or host with its port.
	Host string
	// Path is what follows, without slashes at its ends; for "file" it is the
	// cleaned path of a folder in this system's form.
	Path string
}

// String returns the URL as it is written: ParseURL reads it as u. A relative path stays one.
func (u *URL) String() string {
	if u.Scheme == "file" {
		return fileString(filepath.ToSlash(u.Path), filepath.IsAbs(u.Path))
	}
	text := u.Scheme + "://"
	if u.User != "" {
		text += url.User(u.User).String() + "@"
	}
	text += u.Host
	if u.Path != "" {
		text += escape("/" + u.Path)
	}
	return text
}

func fileString(path string, absolute bool) string {
	switch {
	case absolute && !strings.HasPrefix(path, "/"):
		return "file:///" + escape(path) // a drive
	case absolute:
		return "file://" + escape(path)
	case strings.HasPrefix(path, "-") || looksLikeURL(path):
		return "./" + path
	}
	return path
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// ParseURL reads the URL of a remote, or the plain path of a folder, which a
// relative one stays. It refuses what could mean something else to some program on
// the way: control characters, secrets, names that begin with "-", queries and
// fragments, and "." or ".." in the path of anything that is no folder.
func ParseURL(raw string) (*URL, error) {
	u, err := parseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("remote URL %q: %w", redact(raw), err)
	}
	return u, nil
}

// redact leaves out where secrets are in URLs that have them: the password and the query.
func redact(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "..."
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		if user, _, ok := strings.Cut(rest[:i], ":"); ok {
			rest = user + ":..." + rest[i:]
		}
	}
	return scheme + "://" + rest
}

func parseURL(raw string) (*URL, error) {
	if raw == "" {
		return nil, errors.New("it is empty")
	}
	if !isText(raw) {
		return nil, errControl
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case !ok:
		return parsePath(raw)
	case strings.EqualFold(scheme, "file"):
		return parseFile(rest)
	}
	return parseHost(raw)
}

var errControl = errors.New("it has a control character, or one that is no text")

func parsePath(raw string) (*URL, error) {
	switch {
	case strings.HasPrefix(raw, "-"):
		return nil, errors.New(`it begins with "-": for a folder write "./" before it`)
	case looksLikeURL(raw):
		return nil, errors.New(`want "://" after the kind of remote; for a folder write "./" before it`)
	}
	return &URL{Scheme: "file", Path: filepath.Clean(raw)}, nil
}

// looksLikeURL reports whether a path begins like host:path or s3:bucket, and
// not like the C: of a drive.
func looksLikeURL(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Index(first, ":") > 1
}

func parseFile(rest string) (*URL, error) {
	if !strings.HasPrefix(rest, "/") {
		return nil, errors.New(`want "file:///" and an absolute path`)
	}
	if strings.ContainsAny(rest, "?#") {
		return nil, errQuery
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return nil, err
	}
	if !isText(path) {
		return nil, errControl
	}
	if drive := filepath.FromSlash(path[1:]); filepath.IsAbs(drive) && filepath.VolumeName(drive) != "" {
		path = drive
	}
	return &URL{Scheme: "file", Path: filepath.Clean(filepath.FromSlash(path))}, nil
}

var errQuery = errors.New(`it has a "?" or "#"`)

func parseHost(raw string) (*URL, error) {
	if strings.ContainsAny(raw, "?#") {
		return nil, errQuery
	}
	p, err := url.Parse(raw)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) && !strings.Contains(raw, "@") { // what is before it is not for every eye
			return nil, inner.Err
		}
		return nil, errors.New("it is no URL")
	}
	user, host, path := p.User.Username(), strings.TrimSuffix(p.Host, ":"), strings.Trim(p.Path, "/")
	_, secret := p.User.Password()
	switch {
	case secret:
		return nil, errors.New("it has a password in it, which does not belong there")
	case p.Scheme == "":
		return nil, errors.New("it has no kind of remote before its \"://\"")
	case p.Hostname() == "":
		return nil, errors.New("it has no host or bucket")
	case strings.HasPrefix(host, "-") || strings.HasPrefix(user, "-"):
		return nil, errors.New(`it has a name that begins with "-"`)
	case !isText(path) || !isText(user):
		return nil, errControl
	case strings.Trim(strings.ToLower(host), hostCharacters) != "" || strings.Contains(p.Hostname(), ":") && host[0] != '[':
		return nil, fmt.Errorf("%q can't be a host or bucket", host)
	case strings.ContainsAny(user, userRefused):
		return nil, errors.New("its user has a character that is none of a name")
	}
	for word := range strings.SplitSeq(path, "/") {
		if word == "." || word == ".." || word == "" && path != "" || strings.Contains(word, `\`) {
			return nil, fmt.Errorf("%q can't be in its path", word)
		}
	}
	return &URL{Scheme: strings.ToLower(p.Scheme), User: user, Host: host, Path: path}, nil
}

const (
	hostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._-:[]"
	// userRefused are those that mean something to a shell or a URL.
	userRefused = " :/?#[]\"'`$&|;<>(){}*!%"
)

// isText refuses control characters, what is not UTF-8, and the marks that turn the
// direction of text.
func isText(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
}
