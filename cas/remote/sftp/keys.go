package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keys are what a login can be tried with: those of the agent, and of files without a passphrase.
type keys struct {
	host   *config
	agent  agent.ExtendedAgent
	socket io.Closer
	// tried, and what was in the way of more, for the error.
	tried    int
	locked   []string
	problems []string
}

// openKeys connects to the agent, if there is one.
func openKeys(h *config) *keys {
	k := &keys{host: h}
	socket := h.agent
	switch {
	case strings.EqualFold(socket, "none"):
		return k
	case socket == "" || socket == "SSH_AUTH_SOCK":
		socket = os.Getenv("SSH_AUTH_SOCK")
	}
	conn, err := dialAgent(socket)
	if err != nil {
		k.problems = append(k.problems, fmt.Sprintf("the agent can't be reached: %v", err))
	}
	if conn != nil {
		k.agent, k.socket = agent.NewClient(conn), conn
	}
	return k
}

func (k *keys) close() {
	if k.socket != nil {
		_ = k.socket.Close()
	}
}

// signers returns the keys in the order in which ssh tries them: those of the agent that the
// configuration names, the others of the agent, those of files. Servers give up after a few.
func (k *keys) signers() ([]ssh.Signer, error) {
	var named, files, first, rest []ssh.Signer
	publics := map[string]bool{}
	for _, file := range k.host.identities {
		signers, public := k.read(file)
		files = append(files, signers...)
		for _, p := range public {
			publics[string(p.Marshal())] = true
		}
	}
	held := k.held()
	for _, s := range held {
		if publics[string(s.PublicKey().Marshal())] || publics[string(plain(s.PublicKey()).Marshal())] {
			first = append(first, s)
		} else if !k.host.only {
			rest = append(rest, s)
		}
	}
	named = append(append(append(named, first...), rest...), without(files, first)...)
	k.tried = len(named)
	return named, nil
}

// held are the keys of the agent.
func (k *keys) held() []ssh.Signer {
	if k.agent == nil {
		return nil
	}
	signers, err := k.agent.Signers()
	if err != nil {
		k.problems = append(k.problems, fmt.Sprintf("the agent does not answer: %v", err))
	}
	return signers
}

// read returns the signers of a key file, with its certificate first, and its public
// key, which is known also where the private one is locked or only with the agent.
func (k *keys) read(file string) (signers []ssh.Signer, public []ssh.PublicKey) {
	certificate := readPublic(file + "-cert.pub")
	for _, p := range []ssh.PublicKey{readPublic(file), readPublic(file + ".pub"), certificate} {
		if p != nil {
			public = append(public, p)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		if k.host.chosen && len(public) == 0 {
			k.problems = append(k.problems, err.Error())
		}
		return nil, public
	}
	signer, err := ssh.ParsePrivateKey(raw)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		k.locked = append(k.locked, file)
		if locked.PublicKey != nil {
			public = append(public, locked.PublicKey)
		}
		return nil, public
	case err != nil:
		if len(public) == 0 { // else it names a key of the agent
			k.problems = append(k.problems, fmt.Sprintf("%s: %v", file, err))
		}
		return nil, public
	}
	if c, ok := certificate.(*ssh.Certificate); ok {
		if s, err := ssh.NewCertSigner(c, signer); err == nil {
			signers = append(signers, s)
		}
	}
	return append(signers, signer), append(public, signer.PublicKey())
}

func readPublic(file string) ssh.PublicKey {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	p, _, _, _, err := ssh.ParseAuthorizedKey(raw)
	if err != nil {
		return nil
	}
	return p
}

// plain is the key in a certificate.
func plain(p ssh.PublicKey) ssh.PublicKey {
	if c, ok := p.(*ssh.Certificate); ok {
		return c.Key
	}
	return p
}

func without(signers, others []ssh.Signer) []ssh.Signer {
	var left []ssh.Signer
next:
	for _, s := range signers {
		for _, o := range others {
			if bytes.Equal(s.PublicKey().Marshal(), o.PublicKey().Marshal()) {
				continue next
			}
		}
		left = append(left, s)
	}
	return left
}

// explain says what was tried and what to do.
func (k *keys) explain(h *config, err error) error {
	text := fmt.Sprintf("%s@%s takes none of %d keys", h.user, h.host, k.tried)
	if len(k.locked) > 0 {
		text += fmt.Sprintf("; %s has a passphrase: give it to the agent with: ssh-add '%s'", strings.Join(k.locked, ", "), k.locked[0])
	}
	for _, p := range k.problems {
		text += "; " + p
	}
	if k.tried == 0 && len(k.locked) == 0 {
		text += "; keys come from the agent (SSH_AUTH_SOCK) and from files in ~/.ssh or those that ~/.ssh/config names"
	}
	return fmt.Errorf("%s (%w)", text, err)
}
