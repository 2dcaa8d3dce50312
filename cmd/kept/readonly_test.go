package main

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// TestPushReadOnlyS3 pushes with credentials that may only read.
func TestPushReadOnlyS3(t *testing.T) {
	address, bucket := remotetest.StartS3At(t)
	proxy := remotetest.NewProxy(t, "http://"+address, 1)
	s := newSandbox(t).in("work")
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "AWS_") {
			s.env = append(s.env, kv)
		}
	}
	s.write("data.txt", "first\n")
	s.run("git", "init", "-q")
	s.run("kept", "init")
	s.run("kept", "add", "data.txt")
	s.run("kept", "remote", "add", "--local", "team", bucket+"/x", "-o", "endpoint=http://"+proxy.Addr())
	s.run("kept", "push")
	pushed := s.remembered()

	s.write("data.txt", "second\n")
	s.run("kept", "add", "data.txt")
	proxy.Set(remotetest.Trouble{
		Kind: remotetest.Answer, Times: -1,
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodDelete },
		Answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`))
		},
	})
	s.exits(exitRemote, "error: push to team: "+bucket+"/x: put packs/", "kept", "push")
	out := s.exits(exitRemote, "the remote does not allow this: AccessDenied", "kept", "push")
	if !strings.HasSuffix(out, "\nhint: kept remote check team\n") || strings.Contains(out, "has it all") {
		t.Errorf("push says:\n%s", out)
	}
	if now := s.remembered(); now != pushed {
		t.Errorf("it is remembered as pushed: %q, was %q", now, pushed)
	}
	s.exits(exitOK, "not pushed to team: data.txt", "kept", "status")
	// What is not allowed is said once for each operation.
	out = s.exits(exitRemote, "error: team does not do what a remote has to: 2 cases failed", "kept", "remote", "check", "--quick")
	if strings.Count(out, "failed: ") != 2 || strings.Contains(out, "hint: kept remote check") {
		t.Errorf("check says:\n%s", out)
	}
	proxy.Set()
	s.run("kept", "push")
	s.run("kept", "remote", "check", "--quick")
}

// exits runs a program that has to end with that code and say so.
func (s *sandbox) exits(code int, words, name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		s.t.Fatal(err)
	}
	if got != code || !strings.Contains(out, words) {
		s.t.Errorf("%s %s ended with %d, want %d and %q:\n%s", name, strings.Join(args, " "), got, code, words, out)
	}
	return out
}

// remembered returns what the clone remembers of its remotes as pushed.
func (s *sandbox) remembered() string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, ".git/kept/remotes/*/pushed"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("remembered: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
