//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// TestPushKilled kills pushes at random instants, and repeats them. Whatever a kill leaves,
// each root on the remote lists packs that are there; the push that is repeated sends
// nothing again that was there whole; and then a new clone gets all of it.
//
//	FAULTS_KILLS=200 go test ./cmd/kept -run TestPushKilled -timeout 0 -v
//
// A seed fixes the rounds and, within a machine's jitter, the instants:
// FAULTS_SEED repeats what a failure printed.
func TestPushKilled(t *testing.T) {
	n := envInt(t, "FAULTS_KILLS", 10)
	seed := envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()%1_000_000))
	for _, kind := range []string{"file", "s3"} {
		t.Run(kind, func(t *testing.T) {
			p := newKilledPush(t, kind)
			if t.Failed() {
				return
			}
			rounds := n * 3 / 4
			if kind == "s3" {
				rounds = n - rounds
			}
			for i := range rounds {
				p.rng = rand.New(rand.NewPCG(uint64(seed), uint64(i)))
				p.what = fmt.Sprintf("FAULTS_SEED=%d, round %d", seed, i)
				p.round(i)
				if t.Failed() {
					t.Fatalf("stopped after %s", p.what)
				}
			}
			t.Logf("%d kills, %d while the push ran, of which %d had put packs and %d roots; %d MB were there before the push was repeated, and it sent %d MB, of %d MB each; FAULTS_SEED=%d",
				rounds, p.landed, p.withPacks, p.withRoots, p.there>>20, p.sent>>20, p.whole>>20, seed)
		})
	}
}

// killedPush is a repository with several packs to push.
type killedPush struct {
	*killRepo
	url     string
	options []string
	// whole is what a push sends that nobody kills.
	whole                        int64
	takes                        time.Duration
	landed, withPacks, withRoots int
	there, sent                  int64
}

// pushFiles are kept in packs of their own, each of which a push puts as it is.
const pushFiles = 4

func newKilledPush(t *testing.T, kind string) *killedPush {
	var url string
	var options []string
	if kind == "s3" {
		address, bucket := remotetest.StartS3At(t)
		url, options = bucket+"/", []string{"-o", "endpoint=http://" + address}
	}
	s := newSandbox(t).in("work")
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "AWS_") {
			s.env = append(s.env, kv)
		}
	}
	if kind == "file" {
		url = filepath.ToSlash(filepath.Join(filepath.Dir(s.dir), "remotes")) + "/"
	}
	k := &killRepo{sandbox: s, took: map[string]time.Duration{}, rng: rand.New(rand.NewPCG(1, 1)), what: "setup"}
	p := &killedPush{killRepo: k, url: url, options: options}
	s.write(".gitignore", "/data/\n")
	s.run("git", "init", "-q")
	s.run("kept", "init")
	for i := range pushFiles {
		s.write(fmt.Sprintf("data/%d.bin", i), k.random(17<<20))
		s.run("kept", "add", fmt.Sprintf("data/%d.bin", i))
	}
	for i := range 30 {
		s.write(fmt.Sprintf("data/set/%d.txt", i), strings.Repeat(fmt.Sprintf("row %d\n", i), 2000))
	}
	s.run("kept", "add", "data/set")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "start", "--no-verify")
	p.add("first")
	start := time.Now()
	p.whole = p.pushed("first")
	p.takes = time.Since(start)
	p.remove("first")
	return p
}

func (p *killedPush) add(name string) {
	p.run("kept", append([]string{"remote", "add", "--local", name, p.url + name}, p.options...)...)
	if p.options == nil {
		if err := os.MkdirAll(p.url+name, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
}

// pushed pushes all and returns the bytes that it sent.
func (p *killedPush) pushed(name string) int64 {
	out, err := p.try("kept", "push", "--json", "--remote", name)
	if err != nil {
		p.fail("push again: %v\n%s", err, out)
		return 0
	}
	var shape transfersJSON
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &shape); err != nil || len(shape.Transfers) != 1 {
		p.fail("%v: %s", err, out)
		return 0
	}
	return shape.Transfers[0].Bytes
}

func (p *killedPush) round(i int) {
	name := fmt.Sprint("r", i)
	p.add(name)
	args := []string{"push", "--remote", name, "--jobs", strconv.Itoa(1 + p.rng.IntN(4))}
	landed := p.strike(args)
	packs, roots := p.sound(name)
	there := int64(0)
	for _, size := range packs {
		there += size
	}
	if landed {
		p.landed++
		p.there += there
		if len(packs) > 0 {
			p.withPacks++
		}
		if roots > 0 {
			p.withRoots++
		}
	}
	sent := p.pushed(name)
	p.sent += sent
	// The few bytes are those of packs of small things, which may be put together in another way.
	if most := p.whole - there + 1<<20; sent > most {
		p.fail("%d bytes were there of %d, and the push sent %d", there, p.whole, sent)
	}
	if again := p.pushed(name); again != 0 {
		p.fail("a third push sent %d bytes", again)
	}
	p.sound(name)
	if i%4 == 0 {
		p.clone(name)
	}
	p.remove(name)
}

// strike starts a push and kills it at a random instant. It reports whether that came while it ran.
func (p *killedPush) strike(args []string) bool {
	cmd := exec.Command(filepath.Join(filepath.Dir(p.dir), "bin", "kept"), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.AfterFunc(time.Duration(p.rng.Int64N(int64(p.takes))), func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 0 {
		return true
	}
	p.takes = time.Since(start)
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		p.fail("kept %v: %v\n%s", args, err, out.String())
	}
	return false
}

// open opens a remote of the repository.
func (p *killedPush) open(name string) (context.Context, remote.Remote) {
	p.t.Helper()
	u, err := remote.ParseURL(p.url + name)
	if err != nil {
		p.t.Fatal(err)
	}
	settings := remote.Settings{}
	if p.options != nil {
		key, value, _ := strings.Cut(p.options[1], "=")
		settings[key] = value
	}
	r, err := schemes().Open(p.t.Context(), u, settings)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.t.Context(), r
}

// sound checks that what roots list is there, and returns the packs and their sizes.
func (p *killedPush) sound(name string) (packs map[string]int64, roots int) {
	p.t.Helper()
	ctx, r := p.open(name)
	defer r.Close()
	packs = map[string]int64{}
	err := r.List(ctx, "packs/", func(i remote.Info) error {
		packs[i.Name] = i.Size
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	err = r.List(ctx, "roots/", func(i remote.Info) error {
		roots++
		body, err := r.Get(ctx, i.Name, 0, -1)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			return err
		}
		if !strings.Contains(string(text), "\nend ") {
			p.fail("%s is cut short:\n%s", i.Name, text)
		}
		for line := range strings.Lines(string(text)) {
			var file string
			var size, table int64
			if n, _ := fmt.Sscanf(line, "pack %s %d %d\n", &file, &size, &table); n == 3 && packs["packs/"+file+".pack"] != size {
				p.fail("%s lists pack %s of %d bytes, which has %d", i.Name, file, size, packs["packs/"+file+".pack"])
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return packs, roots
}

// clone pulls all into a new clone, and compares it.
func (p *killedPush) clone(name string) {
	p.t.Helper()
	to := p.in("../clone")
	defer os.RemoveAll(to.dir)
	p.run("git", "clone", "-q", p.dir, to.dir)
	to.run("kept", "init")
	to.run("kept", append([]string{"remote", "add", "--local", name, p.url + name}, p.options...)...)
	to.run("kept", "pull", "--remote", name)
	paths := []string{"data/set/7.txt"}
	for i := range pushFiles {
		paths = append(paths, fmt.Sprintf("data/%d.bin", i))
	}
	for _, path := range paths {
		if to.read(path) != p.read(path) {
			p.fail("%s of the clone has other bytes", path)
		}
	}
}

// remove empties a remote, and forgets it.
func (p *killedPush) remove(name string) {
	p.t.Helper()
	ctx, r := p.open(name)
	defer r.Close()
	var all []string
	err := r.List(ctx, "", func(i remote.Info) error {
		all = append(all, i.Name)
		return nil
	})
	for _, file := range all {
		err = errors.Join(err, r.Delete(ctx, file))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if p.options == nil {
		if err := os.RemoveAll(p.url + name); err != nil {
			p.t.Fatal(err)
		}
	}
	p.run("kept", "remote", "remove", name)
}
