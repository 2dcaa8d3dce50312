package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// helperPrefix is what the names of all credential helpers begin with.
	helperPrefix = "docker-credential-"
	// helperKnowsNone is what they all say when there are no credentials, as docker's do.
	helperKnowsNone = "credentials not found in native keychain"
	// helperToken stands for a user where the secret is a token.
	helperToken = "<token>"
)

// askHelper asks the program "docker-credential-name", which the user's own file names,
// for the credentials for key. It is looked up in PATH, and not where kept runs.
func askHelper(ctx context.Context, name, key string) (credential, error) {
	if !isHelper(name) {
		return credential{}, fmt.Errorf("%q is no name of a credential helper", name)
	}
	program := helperPrefix + name
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(key)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return credential{}, helperError(ctx, program, out, err)
	}
	var said struct{ Username, Secret string }
	if err := json.Unmarshal(out, &said); err != nil {
		// What it said may be a secret.
		return credential{}, fmt.Errorf("%s: its answer is not as it should be", program)
	}
	if said.Username == helperToken {
		return credential{refresh: said.Secret}, nil
	}
	return credential{user: said.Username, password: said.Secret}, nil
}

// isHelper reports whether name can be the end of a helper's name, and is no path.
func isHelper(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return name != "" && strings.Trim(name, letters+"._-") == ""
}

// helperError returns what a helper says that ended with err, which is nil where it
// knows nothing.
func helperError(ctx context.Context, program string, out []byte, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := string(bytes.TrimSpace(out))
	if text == helperKnowsNone {
		return nil
	}
	var ended *exec.ExitError
	if text == "" && errors.As(err, &ended) {
		text = string(bytes.TrimSpace(ended.Stderr))
	}
	if text == "" || !errors.As(err, &ended) {
		return fmt.Errorf("%s: %w", program, err)
	}
	return fmt.Errorf("%s: %s", program, text)
}
