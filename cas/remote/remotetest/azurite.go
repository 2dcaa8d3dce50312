package remotetest

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/gofrs/flock"

	"github.com/kept-dev/kept/cas/remote"
)

// AzureAccount is what Azurite calls its account. Its key is the same everywhere.
const (
	AzureAccount = "devstoreaccount1"
	AzureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// StartAzurite starts Microsoft's emulator of Azure Blob Storage on this machine, in memory,
// and returns the URL of a container in it and its settings. The environment of the
// test has the key from then on, and nothing else that the user has for Azure.
func StartAzurite(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	script, node := buildAzurite(tb)
	address := serve(tb, new(logBuffer), func(address string) *exec.Cmd {
		host, port, _ := net.SplitHostPort(address)
		// It answers also to versions of the protocol that are newer than it.
		return exec.Command(node, script, "--blobHost", host, "--blobPort", port,
			"--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck")
	})
	endpoint := "http://" + address + "/" + AzureAccount
	UseAzure(tb, map[string]string{"AZURE_STORAGE_KEY": AzureKey})
	makeContainer(tb, endpoint+"/team-models")
	return "az://team-models/sentiment", remote.Settings{"account": AzureAccount, "endpoint": endpoint}
}

// UseAzure makes the test see these variables, and nothing else that lets the user into Azure.
func UseAzure(tb testing.TB, variables map[string]string) {
	tb.Helper()
	without(tb, "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER")
	for name, value := range variables {
		tb.Setenv(name, value)
	}
}

func makeContainer(tb testing.TB, url string) {
	tb.Helper()
	key, err := container.NewSharedKeyCredential(AzureAccount, AzureKey)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := container.NewClientWithSharedKeyCredential(url, key, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := c.Create(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
}

// buildAzurite returns Azurite's script, and Node.js to run it, as hack/servers/azurite pins it.
// It is installed once for each state of these files into the user's cache.
func buildAzurite(tb testing.TB) (script, node string) {
	tb.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Skip("Azurite needs Node.js: there is no node in PATH")
	}
	pinned := filepath.Join(sourceRoot(tb), "hack", "servers", "azurite")
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		if files[name], err = os.ReadFile(filepath.Join(pinned, name)); err != nil {
			tb.Fatal(err)
		}
		_, _ = sum.Write(files[name])
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	folder := filepath.Join(cache, "kept-test", fmt.Sprintf("azurite-%x", sum.Sum(nil)[:8]))
	script = filepath.Join(folder, "node_modules", "azurite", "dist", "src", "blob", "main.js")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tb.Fatal(err)
	}
	lock := flock.New(filepath.Join(folder, "lock"))
	if err := lock.Lock(); err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	done := filepath.Join(folder, "done")
	if _, err := os.Stat(done); err == nil {
		return script, node
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	// Nothing in it needs a script of its own to be installed.
	npm := exec.CommandContext(tb.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		text := string(out)
		tb.Skipf("install Azurite: %v\n%s", err, text[max(0, len(text)-2000):])
	}
	if err := os.WriteFile(done, []byte(strings.TrimSpace(script)), 0o600); err != nil {
		tb.Fatal(err)
	}
	return script, node
}
