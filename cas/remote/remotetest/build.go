package remotetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// The servers that are Go programs: the main package of each, or the one file in kept's
// source, by the module file that pins it.
const (
	s3Program  = "github.com/versity/versitygw/cmd/versitygw"
	ociProgram = "hack/servers/registry.go"
	gcsProgram = "github.com/fsouza/fake-gcs-server"
)

// Build returns the path of the program whose main package, or whose one file in
// kept's source, is pkg, as the module file hack/servers/<module>.mod and the .sum beside it pin it. It is built once for each
// state of these files, and kept in the user's cache. Where there is no Go, or no
// way to the modules, the test is skipped.
func Build(tb testing.TB, module, pkg string) string {
	tb.Helper()
	root := sourceRoot(tb)
	mod := filepath.Join(root, "hack", "servers", module+".mod")
	binary := filepath.Join(cacheFolder(tb, root, mod, pkg), strings.TrimSuffix(path.Base(pkg), ".go"))
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	// Tests of several packages want the same program at the same time.
	lock := flock.New(binary + ".lock")
	if err := lock.Lock(); err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-modfile="+mod, "-o", binary+".new", pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Skipf("build %s with %s: %v\n%s", pkg, mod, err, out)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		tb.Fatal(err)
	}
	return binary
}

// cacheFolder returns the folder for a program of this state of the module file mod,
// and of pkg, where that is a file.
func cacheFolder(tb testing.TB, root, mod, pkg string) string {
	tb.Helper()
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, pkg, runtime.Version())
	files := []string{mod, mod[:len(mod)-len(".mod")] + ".sum"}
	if strings.HasSuffix(pkg, ".go") {
		files = append(files, filepath.Join(root, filepath.FromSlash(pkg)))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		_, _ = sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	folder := filepath.Join(cache, "kept-test", fmt.Sprintf("%x", sum.Sum(nil)[:8]))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tb.Fatal(err)
	}
	return folder
}

// sourceRoot returns the folder of kept's own go.mod: tests run in that of their package.
func sourceRoot(tb testing.TB) string {
	tb.Helper()
	folder, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		up := filepath.Dir(folder)
		if up == folder {
			tb.Fatal("no go.mod above the test")
		}
		folder = up
	}
}
