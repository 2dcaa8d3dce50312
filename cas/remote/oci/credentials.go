package oci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// plainHosts is a list of hosts, with commas between them, to which the user lets
// credentials go without encryption. It is not a setting: those come with a repository, and whoever
// writes one could make everybody's docker password go over the wire in clear.
const plainHosts = "KEPT_OCI_INSECURE"

// credentials are those that the user has for one host: what "docker login", or
// "podman login", left in the user's own files, or in the keeper that these name. Nothing that is
// in a repository is looked at, so nothing in it can name a program that is run.
type credentials struct {
	host string
	// plain says that they would go over a network as they are.
	plain bool
	// found is set when there were some.
	found atomic.Bool

	once  sync.Once
	files []*dockerConfig
	err   error
}

// key is what docker calls the host: the one that is meant without a host has
// an old name.
func (c *credentials) key() string {
	if c.host == dockerHub || c.host == dockerHubAPI {
		return "https://index.docker.io/v1/"
	}
	return c.host
}

// get returns the credentials, or none. It is asked only when the registry wants to
// know who calls, so the files of who uses a public one are never opened.
func (c *credentials) get(ctx context.Context) (credential, error) {
	c.once.Do(func() { c.files, c.err = readConfigs() })
	if c.err != nil {
		return credential{}, &loginError{c.err}
	}
	cred, err := c.find(ctx)
	switch {
	case err != nil:
		return credential{}, &loginError{fmt.Errorf("credentials of %s: %w", c.host, err)}
	case cred == credential{}:
		return cred, nil
	case c.plain && !slices.Contains(strings.Split(os.Getenv(plainHosts), ","), c.host):
		return credential{}, &loginError{fmt.Errorf("the credentials of %s would be sent without encryption; %s=%s allows it", c.host, plainHosts, c.host)}
	}
	c.found.Store(true)
	return cred, nil
}

// find returns the first credentials that there are. A helper that a file names is
// asked in place of the file.
func (c *credentials) find(ctx context.Context) (credential, error) {
	for _, file := range c.files {
		var cred credential
		var err error
		if name := file.helper(c.key()); name != "" {
			cred, err = askHelper(ctx, name, c.key())
		} else {
			cred, err = file.credential(c.key())
		}
		if err != nil || cred != (credential{}) {
			return cred, err
		}
	}
	return credential{}, nil
}

// loginError says why there are no credentials to send.
type loginError struct{ error }

func (e *loginError) Unwrap() error { return e.error }

// readConfigs reads docker's file and podman's.
func readConfigs() ([]*dockerConfig, error) {
	paths, err := configPaths()
	if err != nil {
		return nil, err
	}
	var all []*dockerConfig
	for _, path := range paths {
		// A relative path would be looked up where kept runs, which is in a repository.
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("%s: want an absolute path", path)
		}
		c, err := readDockerConfig(path)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// configPaths returns the files that may have credentials, docker's first. None of
// them has to be there.
func configPaths() ([]string, error) {
	home, homeErr := os.UserHomeDir()
	var paths []string
	switch folder := os.Getenv("DOCKER_CONFIG"); {
	case folder != "":
		paths = append(paths, filepath.Join(folder, "config.json"))
	case homeErr != nil:
		return nil, homeErr
	default:
		paths = append(paths, filepath.Join(home, ".docker", "config.json"))
	}
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return append(paths, file), nil
	}
	if folder := os.Getenv("XDG_RUNTIME_DIR"); folder != "" {
		paths = append(paths, filepath.Join(folder, "containers", "auth.json"))
	}
	if homeErr == nil {
		paths = append(paths, filepath.Join(home, ".config", "containers", "auth.json"))
	}
	return paths, nil
}
