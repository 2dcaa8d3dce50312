package http

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/kept-dev/kept/cas/remote"
)

// login is what is sent to one server to be let in, if anything.
type login struct {
	server         *url.URL
	user, password string
	token          string
	from           string // where it was found; "" is nowhere
}

// findLogin looks for the login to a server, by its exact host and port.
func findLogin(server *url.URL, user string) (*login, error) {
	l := &login{server: server}
	if host := os.Getenv("KEPT_HTTP_HOST"); host != "" && hostPort(server.Scheme, host) == hostPort(server.Scheme, server.Host) {
		l.user, l.password, l.token = os.Getenv("KEPT_HTTP_USER"), os.Getenv("KEPT_HTTP_PASSWORD"), os.Getenv("KEPT_HTTP_TOKEN")
		switch {
		case l.token != "":
			l.from = "KEPT_HTTP_TOKEN"
			return l, nil
		case l.user != "":
			l.from = "KEPT_HTTP_USER and KEPT_HTTP_PASSWORD"
			return l, nil
		}
	}
	file := netrcFile()
	if file == "" {
		return l, nil
	}
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read logins: %w", err)
	}
	for _, m := range parseNetrc(string(raw)) {
		if hostPort(server.Scheme, m.host) == hostPort(server.Scheme, server.Host) && (user == "" || user == m.login) {
			l.user, l.password, l.from = m.login, m.password, file
			break
		}
	}
	return l, nil
}

// HasLogin reports whether there is a login for the server of a URL.
func HasLogin(u *remote.URL) (bool, error) {
	base, _, err := baseOf(u)
	if err != nil {
		return false, err
	}
	l, err := findLogin(base, u.User)
	return err == nil && l.from != "", err
}

func netrcFile() string {
	if file := os.Getenv("NETRC"); file != "" {
		return file
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	file := filepath.Join(home, ".netrc")
	if _, err := os.Stat(file); err != nil && runtime.GOOS == "windows" {
		return filepath.Join(home, "_netrc")
	}
	return file
}

// set adds the login to a request, if it goes to the login's own server.
func (l *login) set(req *http.Request) {
	switch {
	case l.from == "" || !sameServer(l.server, req.URL):
	case l.token != "":
		req.Header.Set("Authorization", "Bearer "+l.token)
	default:
		req.SetBasicAuth(l.user, l.password)
	}
}

// refused says what a user can do about it.
func (l *login) refused() string {
	if l.from != "" {
		return "the login is from " + l.from
	}
	return fmt.Sprintf("there is no login for %s in the netrc, and KEPT_HTTP_HOST does not name it", l.server.Host)
}
