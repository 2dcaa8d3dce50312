package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kept-dev/kept/cas/remote"
)

const (
	dialTimeout = 30 * time.Second
	// maxJumps is how many hosts may be on the way.
	maxJumps = 8
)

// dial connects to the host of u and logs in.
func dial(ctx context.Context, u *remote.URL) (*ssh.Client, *watched, error) {
	all, err := loadConfigs()
	if err != nil {
		return nil, nil, fmt.Errorf("read the ssh configuration: %w", ofThisMachine(err))
	}
	host, port := splitPort(u.Host)
	h, err := all.host(host, u.User, port)
	if err != nil {
		return nil, nil, err
	}
	return all.connect(ctx, h, h.jumps, maxJumps)
}

// connect logs in to h over the hosts that jumps names. The client closes those with itself.
func (c *configs) connect(ctx context.Context, h *config, jumps []string, left int) (*ssh.Client, *watched, error) {
	if left == 0 {
		return nil, nil, errors.New("the ssh configuration leads over too many hosts")
	}
	if len(jumps) == 0 {
		d := net.Dialer{Timeout: dialTimeout}
		conn, err := d.DialContext(ctx, "tcp", h.address())
		if err != nil {
			return nil, nil, err
		}
		return c.login(ctx, conn, h)
	}
	last := len(jumps) - 1
	name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(jumps[last]), "ssh://"), "@")
	if !ok {
		name, rest = "", name
	}
	host, port := splitPort(rest)
	via, err := c.host(host, name, port)
	if err != nil {
		return nil, nil, err
	}
	// As with ssh, the list replaces what is configured for its hosts, but for the first.
	before := jumps[:last]
	if last == 0 {
		before = via.jumps
	}
	jump, _, err := c.connect(ctx, via, before, left-1)
	if err != nil {
		return nil, nil, fmt.Errorf("on the way over %s: %w", host, err)
	}
	conn, err := jump.DialContext(ctx, "tcp", h.address())
	if err != nil {
		_ = jump.Close()
		return nil, nil, fmt.Errorf("from %s to %s: %w", host, h.address(), err)
	}
	return c.login(ctx, &jumped{conn, jump}, h)
}

// jumped is a connection that takes the one which it goes over with it.
type jumped struct {
	net.Conn
	over *ssh.Client
}

func (j *jumped) Close() error { return errors.Join(j.Conn.Close(), j.over.Close()) }

// login shakes hands and logs in; it closes conn on error.
func (c *configs) login(ctx context.Context, conn net.Conn, h *config) (*ssh.Client, *watched, error) {
	known, err := knownHosts(h)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	keys := openKeys(h)
	defer keys.close()
	w := newWatched(conn)
	// Closing the connection is what ends a handshake, whatever it waits for.
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stop := context.AfterFunc(limited, func() { _ = conn.Close() })
	through, channels, requests, err := ssh.NewClientConn(w, h.checked(), &ssh.ClientConfig{
		User:              h.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(keys.signers)},
		HostKeyCallback:   known.check,
		HostKeyAlgorithms: known.algorithms,
		ClientVersion:     "SSH-2.0-kept",
	})
	if err == nil && !stop() {
		_ = through.Close()
		err = limited.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, loginError(ctx, limited, h, keys, err)
	}
	return ssh.NewClient(through, channels, requests), w, nil
}

// loginError says why a login failed. limited is the context that ended it.
func loginError(ctx, limited context.Context, h *config, k *keys, err error) error {
	var known *kindError
	if errors.As(err, &known) {
		err = known // without what the client says around it
	}
	var none *ssh.AlgorithmNegotiationError
	switch isNone := errors.As(err, &none); {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return &kindError{remote.ErrTemporary, fmt.Errorf("%s did not shake hands within %v", h.address(), dialTimeout)}
	case errors.Is(kindOf(err), remote.ErrCredentials):
		return &kindError{remote.ErrCredentials, k.explain(h, err)}
	case isNone && none.What == "host key":
		return &kindError{remote.ErrHostKey, fmt.Errorf("%s has no key of the known kinds: known are %q, it has %q; compare one with what its owner says, and connect once with: %s",
			h.host, none.SupportedAlgorithms, none.RequestedAlgorithms, h.command())}
	case isNone || kindOf(err) != nil:
		return err
	}
	// Whatever else it is, something was altered on the way, or comes from no ssh server.
	return &kindError{remote.ErrTemporary, err}
}

// splitPort splits host[:port]; an IPv6 address is in brackets.
func splitPort(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.Trim(s, "[]"), ""
}

// ofThisMachine keeps an error with a file of this machine from being taken for one of the remote.
func ofThisMachine(err error) error { return &localError{err.Error()} }

type localError struct{ text string }

func (e *localError) Error() string { return e.text }
