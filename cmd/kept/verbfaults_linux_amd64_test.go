package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVerbFaults fails system calls of whole commands, one by one: those that
// change anything in the repository or its store. The call fails once, or it and
// all after it, or the process is killed there. What is left is as TestKills has
// it: a lock that is the old one or the new one and names nothing that is not
// stored, whole files, no damage, and a repeat that succeeds.
//
//	FAULTS_CALLS=1 go test ./cmd/kept -run TestVerbFaults -v -timeout 0
//
// is for every call; by default it is every 23rd.
func TestVerbFaults(t *testing.T) {
	every := envInt(t, "FAULTS_CALLS", 23)
	seed := envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000))
	for _, verb := range []string{"add", "run", "restore", "gc --grace 0", "fsck --full"} {
		t.Run(verb, func(t *testing.T) {
			k := newKillRepo(t)
			k.verbs(t, verb)
			tracer := filepath.Join(filepath.Dir(k.dir), "bin", "kept-tracer")
			if err := os.Link(filepath.Join(filepath.Dir(k.dir), "bin", "kept"), tracer); err != nil {
				t.Fatal(err)
			}
			for _, kind := range []string{"once", "forever", "kill"} {
				calls := 0
				for n := 1 + seed%every; ; n += every {
					k.rng = rand.New(rand.NewPCG(uint64(seed), uint64(n)))
					k.what = fmt.Sprintf("FAULTS_SEED=%d FAULTS_CALLS=%d, %s", seed, every, verb)
					hit := k.failCall(tracer, verb, fmt.Sprint(kind, " ", n))
					if t.Failed() {
						t.FailNow()
					}
					if !hit {
						break
					}
					calls++
				}
				t.Logf("%s: %d calls failed %s", verb, calls, kind)
			}
		})
	}
}

// verbs skips the test where the program lacks one.
func (k *killRepo) verbs(t *testing.T, verbs ...string) {
	t.Helper()
	help := k.run("kept", "help")
	for _, verb := range verbs {
		if !strings.Contains(help, "\n  "+strings.Fields(verb)[0]+" ") {
			t.Skip("there is no kept ", verb)
		}
	}
}

// failCall runs a command with one of its system calls failing, and reports
// whether there was such a call.
func (k *killRepo) failCall(tracer, verb, rule string) bool {
	args := k.change(verb)
	before := k.snapshot()
	out := filepath.Join(filepath.Dir(k.dir), "hit")
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		k.t.Fatal(err)
	}
	cmd := exec.Command(tracer, append([]string{filepath.Join(filepath.Dir(tracer), "kept")}, args...)...)
	cmd.Dir, cmd.Env = k.dir, append([]string{traceVariable + "=" + strings.Join([]string{k.dir, rule, out}, ";")}, k.env...)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err := cmd.Run()
	text, _ := os.ReadFile(out)
	hit := string(text)
	k.what += ", " + rule + ": " + hit
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 99 {
		if strings.Contains(printed.String(), "operation not permitted") {
			k.t.Skip("no process may be traced here: ", printed.String())
		}
		k.fail("%s", printed.String())
		return false
	}
	if hit == "" {
		if err != nil {
			k.fail("without a fault: %v\n%s", err, printed.String())
		}
		return false
	}
	after := k.snapshot()
	k.checkStored(after["kept.lock"])
	for i := range k.past {
		k.checkStored(k.past[i]["kept.lock"])
	}
	if err == nil && verb != "restore" && strings.Contains(hit, "kept.lock") && after["kept.lock"] == before["kept.lock"] {
		k.fail("the lock was not written, and nothing was said:\n%s", printed.String())
	}
	again, err := k.try("kept", args...)
	for i := 0; i < 200 && err != nil && strings.Contains(again, "goes on, though its kept was killed"); i++ {
		time.Sleep(50 * time.Millisecond) // the command ends by itself
		again, err = k.try("kept", args...)
	}
	if err != nil {
		k.fail("again: %v\n%s\nafter it had said:\n%s", err, again, printed.String())
	}
	done := k.snapshot()
	k.checkBetween(verb, before, after, done)
	if out, err := k.try("kept", "verify"); err != nil {
		k.fail("verify: %v\n%s", err, out)
	}
	return true
}
