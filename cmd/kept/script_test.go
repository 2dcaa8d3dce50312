package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
			text := "[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n[advice]\n detachedHead = false\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				return err
			}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GIT_CONFIG_GLOBAL", config)
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			env.Setenv("LC_ALL", "C")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"zeros": zeros,
			"crlf":  crlf,
		},
	})
}

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
