package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// config is what the user's ssh configuration says of one host.
type config struct {
	alias, user, host, port string
	// keyAlias is the name under which the host's key is known, where it is not host.
	keyAlias string
	// identities are key files; chosen says that the configuration names them.
	identities []string
	chosen     bool
	// only says that no other keys of the agent are to be used.
	only  bool
	agent string // a socket, SSH_AUTH_SOCK or none
	known []string
	jumps []string
}

// address is where to connect to.
func (h *config) address() string { return net.JoinHostPort(h.host, h.port) }

// checked is the name under which the host's key is looked up.
func (h *config) checked() string {
	if _, _, err := net.SplitHostPort(h.keyAlias); err == nil {
		return h.keyAlias
	}
	if h.keyAlias != "" {
		return net.JoinHostPort(h.keyAlias, "22")
	}
	return h.address()
}

// configs are the user's and the system's ssh configuration.
type configs struct {
	home  string
	files []*ssh_config.Config
}

func loadConfigs() (*configs, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	all := &configs{home: home}
	for _, file := range []string{filepath.Join(home, ".ssh", "config"), systemFile("ssh_config")} {
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parsed, err := ssh_config.DecodeBytes(withoutMatch(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all.files = append(all.files, parsed)
	}
	return all, nil
}

// withoutMatch leaves out the blocks that begin with Match and any other condition than
// all or host: nothing is executed here to decide on one, and the parser refuses a file with them.
func withoutMatch(raw []byte) []byte {
	var out bytes.Buffer
	skip := false
	for line := range bytes.Lines(raw) {
		words := strings.Fields(strings.ToLower(strings.Replace(string(line), "=", " ", 1)))
		if len(words) > 0 && (words[0] == "host" || words[0] == "match") {
			simple := len(words) == 2 && words[1] == "all" || len(words) == 3 && words[1] == "host"
			skip = words[0] == "match" && !simple
		}
		if !skip {
			out.Write(line)
		}
	}
	return out.Bytes()
}

// get returns the first value of key for a host; the user's file comes before the system's.
func (c *configs) get(alias, key string) (string, error) {
	for _, f := range c.files {
		if value, err := f.Get(alias, key); value != "" || err != nil {
			return unquote(value), err
		}
	}
	return "", nil
}

func (c *configs) all(alias, key string) ([]string, error) {
	var values []string
	for _, f := range c.files {
		more, err := f.GetAll(alias, key)
		if err != nil {
			return nil, err
		}
		for _, v := range more {
			values = append(values, unquote(v))
		}
	}
	return values, nil
}

func unquote(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }

// host returns what is configured for a host by the name that the user calls it. What the
// caller knows better, name and port, may be empty.
func (c *configs) host(alias, name, port string) (*config, error) {
	h := &config{alias: alias, user: name, port: port}
	var proxy, identitiesOnly, known, jump string
	for _, option := range []struct {
		key string
		to  *string
	}{
		{"HostName", &h.host}, {"HostKeyAlias", &h.keyAlias}, {"IdentityAgent", &h.agent}, {"UserKnownHostsFile", &known},
		{"IdentitiesOnly", &identitiesOnly}, {"ProxyCommand", &proxy}, {"ProxyJump", &jump}, {"Port", &h.port}, {"User", &h.user},
	} {
		if *option.to != "" {
			continue
		}
		value, err := c.get(alias, option.key)
		if err != nil {
			return nil, err
		}
		*option.to = value
	}
	if err := h.fillIn(); err != nil {
		return nil, err
	}
	if jump != "" && !strings.EqualFold(jump, "none") {
		h.jumps = strings.Split(jump, ",")
	} else if proxy != "" && !strings.EqualFold(proxy, "none") {
		return nil, errors.New("its ssh configuration has a ProxyCommand, which is a program, and none is started here; ProxyJump works")
	}
	h.only = strings.EqualFold(identitiesOnly, "yes")
	h.agent = c.expand(h, h.agent)
	for _, file := range strings.Fields(known) {
		h.known = append(h.known, c.expand(h, file))
	}
	if known == "" {
		h.known = []string{filepath.Join(c.home, ".ssh", "known_hosts"), filepath.Join(c.home, ".ssh", "known_hosts2")}
	}
	h.known = append(h.known, systemFile("ssh_known_hosts"), systemFile("ssh_known_hosts2"))
	files, err := c.all(alias, "IdentityFile")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		h.identities = append(h.identities, c.expand(h, file))
	}
	h.chosen = len(files) > 0
	if !h.chosen {
		for _, kind := range []string{"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"} {
			h.identities = append(h.identities, filepath.Join(c.home, ".ssh", kind))
		}
	}
	return h, nil
}

// fillIn sets what is configured nowhere.
func (h *config) fillIn() error {
	h.host = strings.ReplaceAll(strings.ReplaceAll(h.host, "%h", h.alias), "%%", "%")
	if h.host == "" {
		h.host = h.alias
	}
	if h.port == "" {
		h.port = "22"
	}
	if h.user != "" {
		return nil
	}
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("which user to log in as: %w", err)
	}
	// Windows has DOMAIN\user.
	h.user = me.Username[strings.LastIndex(me.Username, `\`)+1:]
	return nil
}

// expand replaces what ssh_config(5) allows in the name of a file.
func (c *configs) expand(h *config, file string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		file = filepath.Join(c.home, rest)
	}
	me, err := user.Current()
	if err != nil {
		me = &user.User{}
	}
	file = strings.NewReplacer("%%", "%", "%d", c.home, "%h", h.host, "%n", h.alias, "%p", h.port, "%r", h.user, "%u", me.Username).Replace(file)
	return os.Expand(file, func(name string) string { return os.Getenv(name) })
}
