package remotetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/kept-dev/kept/cas/remote"
)

// Who may use a registry that asks.
const (
	RegistryUser     = "ada"
	RegistryPassword = "correct horse"
)

// StartRegistry starts the registry of the CNCF on this machine, with its files in a
// folder of the test's own, and returns the URL of a repository in it. Nothing that the user has
// in docker's or podman's configuration is looked at.
func StartRegistry(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	UseDockerConfig(tb, nil)
	return "oci://" + startRegistry(tb, "") + "/team/models", remote.Settings{}
}

// StartRegistryWithLogin is StartRegistry, for RegistryUser alone, who is logged in.
func StartRegistryWithLogin(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	users := filepath.Join(tb.TempDir(), "htpasswd")
	hash, err := bcrypt.GenerateFromPassword([]byte(RegistryPassword), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	writeFile(tb, users, fmt.Appendf(nil, "%s:%s\n", RegistryUser, hash))
	host := startRegistry(tb, "auth:\n  htpasswd: {realm: kept, path: "+quote(users)+"}\n")
	UseDockerConfig(tb, map[string]string{host: RegistryUser + ":" + RegistryPassword})
	return "oci://" + host + "/team/models", remote.Settings{}
}

// UseDockerConfig makes the test see a docker configuration with these logins, each
// "user:password" by its host, and no other one. It returns the path of the file.
func UseDockerConfig(tb testing.TB, logins map[string]string) string {
	tb.Helper()
	type login struct {
		Auth string `json:"auth"`
	}
	config := map[string]map[string]login{"auths": {}}
	for host, text := range logins {
		config["auths"][host] = login{base64.StdEncoding.EncodeToString([]byte(text))}
	}
	text, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	folder := tb.TempDir()
	writeFile(tb, filepath.Join(folder, "config.json"), text)
	tb.Setenv("DOCKER_CONFIG", folder)
	tb.Setenv("REGISTRY_AUTH_FILE", filepath.Join(folder, "none.json"))
	return filepath.Join(folder, "config.json")
}

const registryConfig = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: %q, secret: for-tests-only}
%s`

// startRegistry returns the host and port of a registry with more in its configuration.
func startRegistry(tb testing.TB, more string) string {
	tb.Helper()
	program := Build(tb, "oci", ociProgram)
	folder := tb.TempDir()
	return serve(tb, new(logBuffer), func(address string) *exec.Cmd {
		config := filepath.Join(folder, "config.yml")
		writeFile(tb, config, fmt.Appendf(nil, registryConfig, quote(filepath.Join(folder, "data")), address, more))
		cmd := exec.Command(program, "serve", config)
		// It takes every REGISTRY_… for a part of its configuration, and podman's file of logins has such a name.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "REGISTRY_") || strings.HasPrefix(kv, "OTEL_") })
		cmd.Env = append(cmd.Env, "OTEL_TRACES_EXPORTER=none")
		return cmd
	})
}

// quote makes a path a word of YAML, with the backslashes of Windows in it.
func quote(path string) string { return "'" + path + "'" }
