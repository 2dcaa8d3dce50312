package sftp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/kept-dev/kept/cas/remote"
)

// hostKeys are the known keys of one host.
type hostKeys struct {
	host       *config
	db         *knownhosts.HostKeyDB
	algorithms []string // those of the known keys, so that the host shows one of these
}

func knownHosts(h *config) (*hostKeys, error) {
	var there []string
	for _, file := range h.known {
		if _, err := os.Stat(file); err == nil {
			there = append(there, file)
		}
	}
	db, err := knownhosts.NewDB(there...)
	if err != nil {
		return nil, fmt.Errorf("read the known hosts: %w", ofThisMachine(err))
	}
	return &hostKeys{host: h, db: db, algorithms: db.HostKeyAlgorithms(h.checked())}, nil
}

// check refuses every key that is not a known one. Nothing makes it ask or learn a key.
func (k *hostKeys) check(name string, addr net.Addr, key ssh.PublicKey) error {
	err := k.db.HostKeyCallback()(name, addr, key)
	if err == nil {
		return nil
	}
	mark := fmt.Sprintf("%s key %s", key.Type(), ssh.FingerprintSHA256(key))
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		err = fmt.Errorf("%s is revoked in %s line %d", mark, revoked.Revoked.Filename, revoked.Revoked.Line)
	case knownhosts.IsHostUnknown(err):
		err = fmt.Errorf("%s shows %s and none is known: compare it with what its owner says, and connect once with: %s", k.host.host, mark, k.host.command())
	case knownhosts.IsHostKeyChanged(err):
		var changed *xknownhosts.KeyError
		errors.As(err, &changed)
		at := changed.Want[0]
		err = fmt.Errorf("%s shows %s, and another is known in %s line %d: somebody may be in between; if its owner says that it was changed, remove it with: ssh-keygen -R '%s'",
			k.host.host, mark, at.Filename, at.Line, knownhosts.Normalize(k.host.checked()))
	}
	return &kindError{remote.ErrHostKey, err}
}

// command is what a user types to get to know the host.
func (h *config) command() string {
	words := []string{"ssh"}
	if h.port != "22" {
		words = append(words, "-p", h.port)
	}
	return strings.Join(append(words, h.user+"@"+h.alias), " ")
}
