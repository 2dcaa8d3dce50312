package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// TestScripts runs testdata/script: each file is a user's session with real Git.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			config := filepath.Join(env.WorkDir, ".gitconfig")
			text := "[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n[core]\n fsync = none\n[advice]\n detachedHead = false\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				return err
			}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GIT_CONFIG_GLOBAL", config)
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			env.Setenv("LC_ALL", "C.UTF-8")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "tmpfs" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return canMount(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"zeros":    zeros,
			"damage":   damageStore,
			"store":    putInStore,
			"crlf":     crlf,
			"fails":    fails,
			"remember": remember,
			"unharmed": unharmed,
		},
	})
}

// fails CODE PROGRAM [ARGUMENT...] runs a program that has to end with that
// exit code.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM [ARGUMENT...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d (%v), want %s\n%s%s", code, err, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// damage STORE [LOCK TABLE] changes a byte of every group of objects in a store,
// or of those that have the object whose hash is in a table of a lock.
func damageStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: damage STORE [LOCK TABLE]")
	}
	var d cas.Digest
	if len(args) == 3 {
		_, table, _ := strings.Cut(ts.ReadFile(args[1]), args[2]+"]\n")
		_, hash, _ := strings.Cut(table, "hash = \"")
		hash, _, _ = strings.Cut(hash, "\"")
		var err error
		if d, err = cas.ParseDigest(hash); err != nil {
			ts.Fatalf("%s of %s: %v", args[2], args[1], err)
		}
	}
	ts.Check(storetest.Flip(ts.MkAbs(args[0]), d))
}

// store STORE TEXT... puts texts into a store.
func putInStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: store STORE TEXT...")
	}
	store, err := cas.OpenLocal(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, text := range args[1:] {
		_, _, err := store.Put(context.Background(), strings.NewReader(text))
		ts.Check(err)
	}
}

// remember [FILE...] notes the lock, the files and what Git says of the working
// tree; unharmed compares them with what is there then.
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: remember [FILE...]")
	}
	remembered.Store(ts, tree(ts, append(args, "kept.lock")))
}

func unharmed(ts *testscript.TestScript, neg bool, args []string) {
	was, ok := remembered.Load(ts)
	if neg || !ok || len(args) != 0 {
		ts.Fatalf("usage: remember [FILE...], later unharmed")
	}
	before := was.(map[string]string)
	now := tree(ts, slices.Collect(maps.Keys(before)))
	for name, text := range before {
		if now[name] != text {
			ts.Fatalf("%s is not what it was:\n%.500q, want\n%.500q", name, now[name], text)
		}
	}
}

var remembered sync.Map // by *testscript.TestScript

// gitStatus is the name under which tree returns what Git says.
const gitStatus = "git status"

func tree(ts *testscript.TestScript, files []string) map[string]string {
	found := map[string]string{}
	for _, name := range files {
		data, err := os.ReadFile(ts.MkAbs(name))
		found[name] = string(data)
		if err != nil {
			found[name] = "error: " + filepath.Base(err.Error())
		}
	}
	cmd := exec.Command("git", "status", "--porcelain")
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	// A status that writes the index calls the hooks.
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.Output()
	found[gitStatus] = fmt.Sprintf("%s%v", out, err)
	return found
}

// canMount reports whether anybody may mount a small disk for themselves: on
// Linux, where user namespaces are not switched off.
var canMount = sync.OnceValue(func() bool {
	return exec.Command("unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt").Run() == nil
})

// zeros FILE BYTES makes a file of zero bytes.
func zeros(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: zeros FILE BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err == nil {
		file := ts.MkAbs(args[0])
		err = os.WriteFile(file, nil, 0o644)
		if err == nil {
			err = os.Truncate(file, size)
		}
	}
	if err != nil {
		ts.Fatalf("%v", fmt.Errorf("zeros: %w", err))
	}
}

// crlf FROM TO copies a text file with the line ends of Windows.
func crlf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crlf FROM TO")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}
