package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core"
)

// TestAskIsInterrupted: who is asked can leave with one Ctrl-C.
func TestAskIsInterrupted(t *testing.T) {
	in, keyboard, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = in
	t.Cleanup(func() {
		os.Stdin = stdin
		_ = errors.Join(in.Close(), keyboard.Close())
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said strings.Builder
	u := &ui{err: &said}
	m := &core.Remote{Name: "default", Text: "s3://models", URL: &remote.URL{Scheme: "s3", Host: "models"}, File: "kept.toml"}
	if yes, err := u.askTrust(ctx, m); yes || !errors.Is(err, context.Canceled) {
		t.Errorf("answer %v, %v", yes, err)
	}
	if said.String() != "kept.toml names s3://models: use your credentials for it? [y/N] \n" {
		t.Errorf("said %q", said.String())
	}
}

// TestPublicRemote pulls from a web server that kept.toml names. Who has no login there is
// not asked, for nothing of theirs is sent; who has one is.
func TestPublicRemote(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	hub := s.in("hub")
	hub.write("data.txt", "something\n")
	hub.write("kept.toml", "")
	hub.run("git", "init", "-q")
	hub.run("kept", "init")
	hub.run("kept", "add", "data.txt")
	hub.run("kept", "remote", "add", "own", "../bucket")
	hub.run("kept", "push", "--remote", "own")

	var logins atomic.Int32
	files := http.FileServer(http.Dir(filepath.Join(s.dir, "bucket")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			logins.Add(1)
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	hub.write("kept.toml", "[remote.default]\nurl = \""+server.URL+"\"\n")
	hub.run("git", "add", "-A")
	hub.run("git", "commit", "-q", "-m", "one", "--no-verify")

	clone := s.in("clone")
	s.run("git", "clone", "-q", "--bare", "hub", "hub.git")
	s.run("git", "clone", "-q", "hub.git", "clone")
	s.write(".netrc", "machine "+strings.TrimPrefix(server.URL, "http://")+" login ada password x\n")
	out, err := clone.try("kept", "fetch")
	if want := "error: kept.toml names " + server.URL + " as remote"; err == nil || !strings.Contains(out, want) || !strings.Contains(out, "hint: kept remote trust default") {
		t.Errorf("with a login: %v, %s", err, out)
	}
	s.write(".netrc", "machine elsewhere.example.org login ada password x\n")
	clone.run("kept", "pull")
	if got := clone.read("data.txt"); got != "something\n" {
		t.Errorf("pulled %q", got)
	}
	if n := logins.Load(); n != 0 {
		t.Errorf("%d logins were sent", n)
	}
	// What is sent there has to be agreed to.
	if out, err := clone.try("kept", "push"); err == nil || !strings.Contains(out, "you have not said yet") {
		t.Errorf("push: %v, %s", err, out)
	}
}
