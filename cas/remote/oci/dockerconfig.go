package oci

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// credential is what somebody shows to a registry.
type credential struct {
	user, password string
	// refresh buys tokens for access.
	refresh string
	// access is such a token.
	access string
}

// dockerConfig is docker's config.json, or podman's auth.json, as far as it has credentials.
type dockerConfig struct {
	// Auths is read as far as it has to be: an entry for another host may be anything.
	Auths map[string]json.RawMessage `json:"auths"`
	// Helpers are the programs to ask, by host, and Store that for all others.
	Helpers map[string]string `json:"credHelpers"`
	Store   string            `json:"credsStore"`
}

// readDockerConfig reads a file that need not be there.
func readDockerConfig(path string) (*dockerConfig, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(dockerConfig), nil
	}
	if err != nil {
		return nil, err
	}
	c, err := parseDockerConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseDockerConfig(text []byte) (*dockerConfig, error) {
	c := new(dockerConfig)
	if strings.TrimSpace(string(text)) == "" {
		return c, nil
	}
	return c, json.Unmarshal(text, c)
}

// helper returns the end of the name of the program that has the credentials for key, or "".
func (c *dockerConfig) helper(key string) string {
	if name := c.Helpers[key]; name != "" {
		return name
	}
	return c.Store
}

// credential returns the credentials that the file itself has for key, or none. A
// key is a host, which old files write as a URL.
func (c *dockerConfig) credential(key string) (credential, error) {
	text, ok := c.Auths[key]
	if !ok {
		all := slices.Sorted(maps.Keys(c.Auths))
		i := slices.IndexFunc(all, func(k string) bool { return hostOf(k) == key })
		if i < 0 {
			return credential{}, nil
		}
		text = c.Auths[all[i]]
	}
	return parseLogin(text)
}

// hostOf returns the host of a key.
func hostOf(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "http://"), "https://")
	host, _, _ := strings.Cut(key, "/")
	return host
}

// parseLogin reads one entry. What is wrong with it is said without what is in it.
func parseLogin(text []byte) (credential, error) {
	var login struct {
		Auth     string `json:"auth"` // user:password, in base64
		User     string `json:"username"`
		Password string `json:"password"`
		Refresh  string `json:"identitytoken"`
		Access   string `json:"registrytoken"`
	}
	if err := json.Unmarshal(text, &login); err != nil {
		return credential{}, errors.New("the entry is not as docker writes it")
	}
	cred := credential{login.User, login.Password, login.Refresh, login.Access}
	if login.Auth == "" {
		return cred, nil
	}
	plain, err := base64.StdEncoding.DecodeString(login.Auth)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return credential{}, errors.New(`"auth" is not user:password in base64`)
	}
	cred.user, cred.password = user, password
	return cred, nil
}
