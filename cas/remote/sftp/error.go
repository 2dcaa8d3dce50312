package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"strings"
	"syscall"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/kept-dev/kept/cas/remote"
)

// kindError is an error whose kind was found out where it came up.
type kindError struct{ kind, err error }

func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

// failed returns err as an Error of the remote, or nil.
func (d *folder) failed(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	kind := kindOf(err)
	if errors.Is(kind, fs.ErrNotExist) && !d.seen.Load() {
		if err2 := d.look(ctx); err2 != nil {
			err, kind = err2, kindOf(err2)
		}
	}
	if errors.Is(err, kind) || errors.Is(kind, fs.ErrNotExist) {
		err = strip(err, kind)
	}
	return &remote.Error{Op: op, Remote: d.url.String(), Name: name, Kind: kind, Err: err}
}

// look tells a file that is not there from a remote that is not: its folder may be missing until
// something is put, the one above may not.
func (d *folder) look(ctx context.Context) error {
	above := path.Dir(d.root)
	_, err := call(ctx, d, func(c *sftp.Client) (fs.FileInfo, error) { return c.Stat(above) })
	switch {
	case err == nil:
		d.seen.Store(true)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &kindError{remote.ErrNoRemote, fmt.Errorf("there is no folder %s", above)}
	case errors.Is(err, fs.ErrPermission):
		return nil // it is there
	}
	return err
}

// strip leaves out of err what kind says already.
func strip(err, kind error) error {
	if err == kind || errors.Is(err, fs.ErrNotExist) { //nolint:errorlint // what wraps it says more
		return nil
	}
	return err
}

// kindOf returns which of the errors of package remote err is, or nil.
func kindOf(err error) error {
	var known *kindError
	var body *remote.BodyError
	var status *sftp.StatusError
	switch {
	case err == nil, errors.As(err, &body), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.As(err, &known):
		return known.kind
	case errors.Is(err, remote.ErrShort):
		return remote.ErrShort
	case errors.Is(err, fs.ErrNotExist):
		return fs.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		return remote.ErrDenied
	case errors.As(err, &status):
		return kindOfStatus(status.Code)
	}
	return kindOfConnection(err)
}

// kindOfStatus knows the codes of later versions of the protocol too, which some servers send.
func kindOfStatus(code uint32) error {
	switch code {
	case 2, 10: // no such file, no such path
		return fs.ErrNotExist
	case 3: // permission denied
		return remote.ErrDenied
	case 6, 7: // no connection, connection lost
		return remote.ErrTemporary
	case 8: // unsupported
		return remote.ErrUnsupported
	case 12: // write protect
		return remote.ErrReadOnly
	case 14, 15: // no space on filesystem, quota exceeded
		return remote.ErrFull
	}
	return nil
}

func kindOfConnection(err error) error {
	var dns *net.DNSError
	var network net.Error
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return remote.ErrNoRemote
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, sftp.ErrSSHFxNoConnection),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE):
		return remote.ErrTemporary
	case errors.As(err, &network), errors.As(err, &refused):
		return remote.ErrTemporary
	case strings.Contains(err.Error(), "unable to authenticate"), strings.Contains(err.Error(), "Too many authentication failures"):
		return remote.ErrCredentials // the client has no type for it
	}
	return nil
}
