package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/mem"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func bytesOf(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// steady is what a test of Steady has: everything it does takes no time.
type steady struct {
	*remotetest.Faulty
	remote.Remote
	stats          remote.Stats
	sent, received int64
}

func newSteady(l remote.Limits) *steady {
	s := &steady{Faulty: remotetest.NewFaulty(mem.New())}
	l.Stats = &s.stats
	var mu sync.Mutex
	l.Moved = func(sent, received int64) {
		mu.Lock()
		defer mu.Unlock()
		s.sent += sent
		s.received += received
	}
	s.Remote = remote.Steady(s.Faulty, l)
	return s
}

func (s *steady) read(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	body, err := s.Remote.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

func TestSteadyIsARemote(t *testing.T) {
	r := mem.New()
	remotetest.Run(t, func(testing.TB) remote.Remote {
		return remote.Steady(r, remote.Limits{Jobs: 20, Upload: 1 << 40, Download: 1 << 40})
	})
}

func TestSteadyTriesAgain(t *testing.T) {
	content := bytesOf(300_000)
	for _, how := range remotetest.Hows() {
		for _, op := range []string{"put", "get", "stat", "list", "delete"} {
			if how == remotetest.Missing || how == remotetest.Extra ||
				how == remotetest.Zero || how == remotetest.Flip || how == remotetest.Long || how == remotetest.Short && op != "get" {
				continue // nobody can tell here
			}
			t.Run(op+" "+how.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSteady(remote.Limits{Patience: 2 * time.Minute})
					ctx := t.Context()
					for _, name := range []string{"a", "b", "c"} {
						if err := s.Remote.Put(ctx, name, bytes.NewReader(content), int64(len(content))); err != nil {
							t.Fatal(err)
						}
					}
					s.sent = 0
					s.Faulty.Set(remotetest.Fault{How: how, Op: op, At: 2}, remotetest.Fault{How: how, Op: op, Nth: 2, At: 1})
					var err error
					switch op {
					case "put":
						err = s.Remote.Put(ctx, "a", bytes.NewReader(content), int64(len(content)))
						if s.sent != int64(len(content)) {
							t.Errorf("told of %d bytes", s.sent)
						}
					case "get":
						var got []byte
						got, err = s.read(ctx, "a", 0, 300_000)
						if !bytes.Equal(got, content) {
							t.Errorf("%d bytes come back otherwise", len(got))
						}
					case "stat":
						_, err = s.Remote.Stat(ctx, "a")
					case "list":
						var names []string
						err = s.Remote.List(ctx, "", func(i remote.Info) error { names = append(names, i.Name); return nil })
						if strings.Join(names, " ") != "a b c" {
							t.Errorf("listed %q", names)
						}
					case "delete":
						err = s.Remote.Delete(ctx, "a")
					}
					if err != nil {
						t.Error(err)
					}
					if got := s.Struck(); got != 2 {
						t.Errorf("%d faults have struck, want 2", got)
					}
					if got := s.stats.Retries.Load(); got != 2 {
						t.Errorf("%d retries, want 2", got)
					}
				})
			})
		}
	}
}

func TestSteadyGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		fault remotetest.Fault
		tries int
		after time.Duration // at most
		want  error
	}{
		"that it can't for now":       {remotetest.Fault{}, 10, time.Minute, remote.ErrTemporary},
		"that nothing comes":          {remotetest.Fault{How: remotetest.Hang}, 2, 61 * time.Second, remote.ErrTemporary},
		"that it may not":             {remotetest.Fault{Err: remote.ErrDenied}, 1, 0, remote.ErrDenied},
		"that it is not there":        {remotetest.Fault{Err: fs.ErrNotExist}, 1, 0, fs.ErrNotExist},
		"that it is full":             {remotetest.Fault{Err: remote.ErrFull}, 1, 0, remote.ErrFull},
		"that other bytes are there":  {remotetest.Fault{Err: remote.ErrAltered}, 10, time.Minute, remote.ErrAltered},
		"that the credentials expire": {remotetest.Fault{Err: remote.ErrCredentials}, 1, 0, remote.ErrCredentials},
	} {
		for _, op := range []string{"put", "get", "stat", "list", "delete"} {
			t.Run(name+" "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSteady(remote.Limits{})
					c.fault.Forever = true
					s.Faulty.Set(c.fault)
					start := time.Now()
					err := does(t.Context(), s.Remote, op)
					if !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
					if got := s.Count(op); got != c.tries {
						t.Errorf("%d tries, want %d", got, c.tries)
					}
					if took := time.Since(start); took > c.after {
						t.Errorf("took %s", took)
					}
					if e := new(remote.Error); !errors.As(err, &e) || e.Op != op {
						t.Errorf("%#v is no Error of %s", err, op)
					}
				})
			})
		}
	}
}

// does does one operation with a small file.
func does(ctx context.Context, r remote.Remote, op string) (err error) {
	switch op {
	case "put":
		err = r.Put(ctx, "a", strings.NewReader("abc"), 3)
	case "get":
		var body io.ReadCloser
		if body, err = r.Get(ctx, "a", 0, 3); err == nil {
			_, err = io.ReadAll(body)
			err = errors.Join(err, body.Close())
		}
	case "stat":
		_, err = r.Stat(ctx, "a")
	case "list":
		err = r.List(ctx, "", func(remote.Info) error { return nil })
	case "delete":
		err = r.Delete(ctx, "a")
	}
	return err
}

func TestSteadyEndsAtOnce(t *testing.T) {
	for _, how := range []remotetest.How{remotetest.Fail, remotetest.Hang, remotetest.Lost} {
		for _, op := range []string{"put", "get", "stat", "list", "delete"} {
			t.Run(op+" "+how.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSteady(remote.Limits{})
					s.Faulty.Set(remotetest.Fault{How: how, Forever: true})
					ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
					defer cancel()
					start := time.Now()
					err := does(ctx, s.Remote, op)
					if !errors.Is(err, context.DeadlineExceeded) || remote.Temporary(err) {
						t.Errorf("%v", err)
					}
					if took := time.Since(start); took != 7*time.Second {
						t.Errorf("took %s", took)
					}
				})
			})
		}
	}
}

func TestSteadyWaitsAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{})
		busy := &remote.Error{Op: "stat", Kind: remote.ErrTemporary, After: 20 * time.Second}
		s.Faulty.Set(remotetest.Fault{Op: "stat", Err: busy})
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { _ = does(t.Context(), s.Remote, "stat") })
		synctest.Wait()
		if err := does(t.Context(), s.Remote, "list"); err != nil { // nobody told it, but it counts as well
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestSteadyDoesNotWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{})
		s.Faulty.Set(remotetest.Fault{Err: &remote.Error{Kind: remote.ErrTemporary, After: time.Hour}})
		start := time.Now()
		if err := does(t.Context(), s.Remote, "stat"); !remote.Temporary(err) || time.Since(start) != 0 {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// TestSteadyGoesOn cuts a body every few thousand bytes.
func TestSteadyGoesOn(t *testing.T) {
	content := bytesOf(700_000)
	for _, length := range []int64{-1, 700_000, 699_000, 3} {
		for _, how := range []remotetest.How{remotetest.Cut, remotetest.Short} {
			if length < 0 && how == remotetest.Short {
				continue // nobody could tell
			}
			t.Run(fmt.Sprint(length, how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSteady(remote.Limits{})
					if err := s.Remote.Put(t.Context(), "a", bytes.NewReader(content), int64(len(content))); err != nil {
						t.Fatal(err)
					}
					s.Faulty.Set(remotetest.Fault{How: how, Op: "get", At: 70_000, Forever: true})
					got, err := s.read(t.Context(), "a", 0, length)
					want := content
					if length >= 0 {
						want = content[:length]
					}
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					if s.received != int64(len(want)) || s.stats.Received.Load() != int64(len(want)) {
						t.Errorf("told of %d bytes, counted %d", s.received, s.stats.Received.Load())
					}
				})
			})
		}
	}
}

// TestSteadyReadsWhatIsTooShort: where the file has no more, no other try finds it.
func TestSteadyReadsWhatIsTooShort(t *testing.T) {
	for _, c := range []struct {
		name           string
		offset, length int64
		// behind is set where the remote itself calls an offset behind the end short.
		behind bool
		got    string
	}{
		{"more than there is", 1, 100, false, "bc"},
		{"behind the end", 7, 2, true, ""},
		{"all from behind the end on", 7, -1, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSteady(remote.Limits{})
				if err := does(t.Context(), s.Remote, "put"); err != nil {
					t.Fatal(err)
				}
				if c.behind {
					s.Faulty.Set(remotetest.Fault{Op: "get", Forever: true, Err: &remote.Error{Op: "get", Kind: remote.ErrShort}})
				}
				start := time.Now()
				got, err := s.read(t.Context(), "a", c.offset, c.length)
				if string(got) != c.got || !errors.Is(err, remote.ErrShort) || time.Since(start) != 0 || s.stats.Gets.Load() != 1 {
					t.Errorf("%q, %v after %s and %d tries", got, err, time.Since(start), s.stats.Gets.Load())
				}
			})
		})
	}
}

// TestSteadyAsksAgain: a body that ends early is not the file's end.
func TestSteadyAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{})
		if err := does(t.Context(), s.Remote, "put"); err != nil {
			t.Fatal(err)
		}
		s.Faulty.Set(remotetest.Fault{Op: "get", Err: &remote.Error{Op: "get", Kind: remote.ErrShort}},
			remotetest.Fault{How: remotetest.Short, Op: "get", Nth: 2, At: 2}, remotetest.Fault{Op: "stat", Nth: 2, Err: &remote.Error{Op: "stat", Kind: remote.ErrTemporary}})
		if got, err := s.read(t.Context(), "a", 0, 3); string(got) != "abc" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestSteadyReadsWhatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{})
		if err := does(t.Context(), s.Remote, "put"); err != nil {
			t.Fatal(err)
		}
		s.Faulty.Set(remotetest.Fault{How: remotetest.Long, Op: "get"})
		got, err := s.read(t.Context(), "a", 0, 3)
		if string(got) != "abc" || !errors.Is(err, remote.ErrShort) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// TestSteadyBreaksAtTheEnd: what breaks when all was sent does no harm.
func TestSteadyBreaksAtTheEnd(t *testing.T) {
	for _, length := range []int64{3, -1} {
		synctest.Test(t, func(t *testing.T) {
			s := newSteady(remote.Limits{})
			if err := does(t.Context(), s.Remote, "put"); err != nil {
				t.Fatal(err)
			}
			s.Faulty.Set(remotetest.Fault{How: remotetest.Cut, Op: "get", At: 3})
			if got, err := s.read(t.Context(), "a", 0, length); string(got) != "abc" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if got := s.Count("get"); got != 1 {
				t.Errorf("%d gets", got)
			}
		})
	}
}

type bodyFunc func(p []byte, off int64) (int, error)

func (f bodyFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func TestSteadyDoesNotRetryTheBody(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		body io.ReaderAt
		want error
	}{
		"fails":      {bodyFunc(func([]byte, int64) (int, error) { return 0, broken }), broken},
		"ends early": {strings.NewReader("abc"), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSteady(remote.Limits{})
				err := s.Remote.Put(t.Context(), "a", c.body, 5)
				if !errors.Is(err, c.want) || s.Count("put") != 1 {
					t.Errorf("%d tries: %v", s.Count("put"), err)
				}
			})
		})
	}
}

// slow is a body of which each read takes a while.
type slow struct {
	io.ReaderAt
	each time.Duration
}

func (s slow) ReadAt(p []byte, off int64) (int, error) {
	time.Sleep(s.each)
	return s.ReaderAt.ReadAt(p, off)
}

func TestSteadyKeepsToTheRate(t *testing.T) {
	content := bytesOf(1_000_000)
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{Upload: 10_000, Download: 50_000, Jobs: 2})
		start := time.Now()
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				if err := s.Remote.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took < 399*time.Second || took > 401*time.Second {
			t.Errorf("4 MB at 10 kB/s took %s", took)
		}
		start = time.Now()
		got, err := s.read(t.Context(), "a", 0, -1)
		if took := time.Since(start); took < 19*time.Second || took > 21*time.Second || err != nil || !bytes.Equal(got, content) {
			t.Errorf("1 MB at 50 kB/s took %s: %v", took, err)
		}
	})
}

func TestSteadyLimitsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{Jobs: 3})
		if err := does(t.Context(), s.Remote, "put"); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		running, most := 0, 0
		s.Before = func(string, string) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				if err := does(t.Context(), s.Remote, []string{"put", "get", "stat"}[i%3]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); most != 3 || took != 10*time.Second {
			t.Errorf("%d at once, took %s", most, took)
		}
	})
}

// TestSteadyIsPatient: bytes that come slowly are no failure.
func TestSteadyIsPatient(t *testing.T) {
	content := bytesOf(1000)
	synctest.Test(t, func(t *testing.T) {
		s := newSteady(remote.Limits{})
		err := s.Remote.Put(t.Context(), "a", slow{bytes.NewReader(content), 25 * time.Second}, 1000)
		if err != nil || s.Count("put") != 1 {
			t.Errorf("%d tries: %v", s.Count("put"), err)
		}
		body, err := s.Remote.Get(t.Context(), "a", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		s.Faulty.Set(remotetest.Fault{Op: "get"})
		for range 10 {
			if _, err := io.ReadFull(body, make([]byte, 100)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour) // who reads takes long
		}
	})
}

// TestSteadyEndsTheBody: nothing reads the caller's file when Put has returned.
func TestSteadyEndsTheBody(t *testing.T) {
	kept := new(keeper)
	r := remote.Steady(kept, remote.Limits{})
	if err := r.Put(t.Context(), "a", strings.NewReader("abc"), 3); err != nil {
		t.Fatal(err)
	}
	if n, err := kept.body.ReadAt(make([]byte, 3), 0); n != 0 || err == nil {
		t.Errorf("it can be read still: %d bytes, %v", n, err)
	}
}

type keeper struct {
	remote.Remote
	body io.ReaderAt
}

func (k *keeper) Put(_ context.Context, _ string, body io.ReaderAt, _ int64) error {
	k.body = body
	return nil
}

// TestSteadyChecksumFirst: a client that reads all of a body for its checksum, and then
// to send it, does not make two bodies of it.
func TestSteadyChecksumFirst(t *testing.T) {
	var told int64
	r := remote.Steady(twice{}, remote.Limits{Moved: func(sent, _ int64) { told += sent }})
	if err := r.Put(t.Context(), "a", strings.NewReader("abc"), 3); err != nil || told != 3 {
		t.Errorf("told of %d bytes: %v", told, err)
	}
}

type twice struct{ remote.Remote }

func (twice) Put(_ context.Context, _ string, body io.ReaderAt, size int64) error {
	for range 2 {
		if _, err := io.Copy(io.Discard, io.NewSectionReader(body, 0, size)); err != nil {
			return err
		}
	}
	return nil
}

func TestSteadyAfterClose(t *testing.T) {
	s := newSteady(remote.Limits{Jobs: 1})
	if err := does(t.Context(), s.Remote, "put"); err != nil {
		t.Fatal(err)
	}
	body, err := s.Remote.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := body.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading what was closed: %v", err)
	}
	if err := does(t.Context(), s.Remote, "stat"); err != nil {
		t.Error(err)
	}
}

// TestSteadyNeverLies has many things go wrong at random: what Steady reports as done is
// done, and what it reads is right or an error.
func TestSteadyNeverLies(t *testing.T) {
	hows := []remotetest.How{remotetest.Fail, remotetest.Lost, remotetest.Hang, remotetest.Cut, remotetest.Short, remotetest.Long}
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			s := newSteady(remote.Limits{Tries: 4})
			var content []byte
			worked := 0
			for range 12 {
				var faults []remotetest.Fault
				for range random.IntN(4) {
					faults = append(faults, remotetest.Fault{How: hows[random.IntN(len(hows))], Op: "get", Nth: 1 + random.IntN(4), At: random.Int64N(3000)},
						remotetest.Fault{How: hows[random.IntN(4)], Op: "put", Nth: 1 + random.IntN(3), At: random.Int64N(3000)})
				}
				s.Faulty.Set(faults...)
				b := bytesOf(1 + random.IntN(5000))
				b[0] = byte(random.Uint32())
				if err := s.Remote.Put(t.Context(), "a", bytes.NewReader(b), int64(len(b))); err != nil {
					continue // and what is there is one or the other
				}
				content = b
				offset := random.Int64N(int64(len(b)))
				length := random.Int64N(int64(len(b)) - offset + 1)
				got, err := s.read(t.Context(), "a", offset, length)
				if err == nil {
					worked++
				}
				if err == nil && !bytes.Equal(got, content[offset:offset+length]) || err != nil && !bytes.HasPrefix(content[offset:], got) {
					t.Errorf("seed %d: %d bytes from %d are %d others, %v", seed, length, offset, len(got), err)
				}
			}
			if worked == 0 {
				t.Errorf("seed %d: nothing has worked", seed)
			}
		})
	}
}
