package remotetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// server keeps one body, and says what it has got.
type server struct {
	body  atomic.Pointer[string]
	asked atomic.Int64
	*httptest.Server
}

func newServer(t *testing.T) *server {
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if r.Method == http.MethodPut {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				text := string(b)
				s.body.Store(&text)
			}
			return
		}
		_, _ = io.WriteString(w, *s.body.Load())
	}))
	t.Cleanup(s.Close)
	text := strings.Repeat("0123456789", 1000)
	s.body.Store(&text)
	return s
}

const (
	// long is what a busy machine needs at most, short is enough to see that nothing comes.
	long  = time.Minute
	short = 300 * time.Millisecond
)

// ask returns what comes back, and what went wrong.
func ask(patience time.Duration, method, url, body string) (status int, got string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Close = true // on a connection that it has used already, a client tries again by itself
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

func patience(k remotetest.Kind) time.Duration {
	if strings.HasPrefix(string(k), "stall") {
		return short
	}
	return long
}

func TestProxy(t *testing.T) {
	const size = 10_000
	sent := strings.Repeat("abcdefghij", size/10)
	for _, c := range []struct {
		kind   remotetest.Kind
		method string
		// What is to be seen: the status, 0 for none; how many bytes come back; how many
		// requests the server has got; and what it has.
		status, bytes int
		asked         int64
		broken        bool
		has           string
	}{
		{remotetest.Refuse, "GET", 0, 0, 0, true, ""},
		{remotetest.CutRequest, "PUT", 0, 0, 0, true, "0"},
		{remotetest.CutResponse, "GET", 200, 5000, 1, true, ""},
		{remotetest.LoseResponse, "PUT", 0, 0, 1, true, sent},
		{remotetest.Stall, "GET", 0, 0, 0, true, ""},
		{remotetest.StallRequest, "PUT", 0, 0, 0, true, "0"},
		{remotetest.StallResponse, "GET", 200, 5000, 1, true, ""},
		{remotetest.Delay, "GET", 200, size, 1, false, ""},
		{remotetest.FlipRequest, "PUT", 200, 0, 1, false, sent[:5000] + "`" + sent[5001:]},
		{remotetest.FlipResponse, "GET", 200, size, 1, false, ""},
		{remotetest.TooMany, "GET", 429, 18, 0, false, ""},
		{remotetest.ServerError, "PUT", 500, 22, 0, false, "0"},
		{remotetest.BadGateway, "GET", 502, 12, 0, false, ""},
		{remotetest.Busy, "GET", 503, 20, 0, false, ""},
		{remotetest.TooLate, "GET", 504, 16, 0, false, ""},
		{remotetest.TooManyAfter, "GET", 429, 18, 0, false, ""},
		{remotetest.BusyAfter, "PUT", 503, 20, 0, false, "0"},
		{remotetest.Unauthorized, "GET", 401, 13, 0, false, ""},
		{remotetest.Forbidden, "GET", 403, 10, 0, false, ""},
		{remotetest.ShortBody, "GET", 200, 5000, 1, false, ""},
		{remotetest.LongBody, "GET", 200, size + 8, 1, false, ""},
		{remotetest.ZeroBody, "GET", 200, size, 1, false, ""},
		{remotetest.Page, "GET", 200, 65, 0, false, ""},
		{remotetest.Twice, "PUT", 200, 0, 2, false, sent},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			s := newServer(t)
			old := *s.body.Load()
			p := remotetest.NewProxy(t, s.URL, 1)
			p.Set(remotetest.Trouble{Kind: c.kind, Nth: 2, At: 5000, Delay: time.Millisecond})
			body := ""
			if c.method == "PUT" {
				body = sent
			}
			if status, _, err := ask(long, c.method, p.URL(), body); status != 200 || err != nil {
				t.Fatalf("without trouble: %d, %v", status, err)
			}
			if c.method == "PUT" {
				s.body.Store(&old)
			}
			s.asked.Store(0)
			status, got, err := ask(patience(c.kind), c.method, p.URL(), body)
			if status != c.status || len(got) != c.bytes || (err != nil) != c.broken {
				t.Errorf("status %d, %d bytes, %v; want %d, %d", status, len(got), err, c.status, c.bytes)
			}
			if asked := s.asked.Load(); asked != c.asked && !c.broken {
				t.Errorf("the server was asked %d times, want %d", asked, c.asked)
			}
			if has := *s.body.Load(); c.has != "" && c.has != "0" && has != c.has || c.has == "0" && has != old {
				t.Errorf("the server has %.20q and so on", has)
			}
			if differs := got != old[:min(size, len(got))]; c.kind == remotetest.ZeroBody && !strings.HasSuffix(got, strings.Repeat("\x00", 5000)) ||
				c.kind == remotetest.FlipResponse && !differs {
				t.Error("the body is as it was")
			}
			if status, got, err := ask(long, "GET", p.URL(), ""); status != 200 || got != *s.body.Load() || err != nil {
				t.Errorf("afterwards: %d, %v", status, err)
			}
			if p.Struck() != 1 || p.Requests() != 3 {
				t.Errorf("struck %d times in %d requests", p.Struck(), p.Requests())
			}
		})
	}
}

func TestProxyRewritesAndAnswers(t *testing.T) {
	s := newServer(t)
	p := remotetest.NewProxy(t, s.URL, 1)
	p.Set(remotetest.Trouble{Kind: remotetest.Rewrite, Rewrite: bytes.ToUpper},
		remotetest.Trouble{Kind: remotetest.Answer, Nth: 2, Times: -1, Answer: http.NotFound})
	text := "abc"
	s.body.Store(&text)
	if _, got, err := ask(long, "GET", p.URL(), ""); got != "ABC" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for range 3 {
		if status, _, err := ask(long, "GET", p.URL(), ""); status != 404 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
	}
}

// echo answers with what it gets.
func echo(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// talk sends text and returns what comes back.
func talk(patience time.Duration, conn net.Conn, text string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	b := make([]byte, len(text))
	n, err := io.ReadFull(conn, b)
	return string(b[:n]), err
}

func TestTCPProxy(t *testing.T) {
	for _, c := range []struct {
		kind   remotetest.Kind
		got    string
		broken bool
	}{
		{remotetest.Refuse, "", true},
		{remotetest.CutRequest, "01234", true},
		{remotetest.CutResponse, "01234", true},
		{remotetest.StallRequest, "01234", true},
		{remotetest.StallResponse, "01234", true},
		{remotetest.Delay, "0123456789", false},
		{remotetest.FlipRequest, "0123446789", false},
		{remotetest.FlipResponse, "0123446789", false},
	} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprint(c.kind, " old ", old), func(t *testing.T) {
				p := remotetest.NewTCPProxy(t, echo(t), 1)
				dial := func() net.Conn {
					conn, err := net.Dial("tcp", p.Addr())
					if err != nil && c.kind != remotetest.Refuse {
						t.Fatal(err)
					}
					if err != nil {
						conn, _ = net.Pipe() // the reset was faster than the greeting
						conn.Close()
					}
					t.Cleanup(func() { conn.Close() })
					return conn
				}
				trouble := remotetest.Trouble{Kind: c.kind, At: 5, Delay: time.Millisecond}
				if !old {
					p.Set(trouble)
				}
				conn := dial()
				if old {
					if got, err := talk(long, conn, "hello"); got != "hello" || err != nil {
						t.Fatalf("%q, %v", got, err)
					}
					p.Set(trouble)
				}
				got, err := talk(patience(c.kind), conn, "0123456789")
				if (err != nil) != c.broken || !strings.HasPrefix(c.got, got) || !c.broken && got != c.got {
					t.Errorf("%q, %v, want %q", got, err, c.got)
				}
				if c.kind == remotetest.Refuse && old {
					_, _ = talk(long, dial(), "hello") // the one that is refused
				}
				if got, err := talk(long, dial(), "hello"); got != "hello" || err != nil {
					t.Errorf("afterwards: %q, %v", got, err)
				}
				if p.Struck() == 0 {
					t.Error("nothing has struck")
				}
			})
		}
	}
}

func TestRounds(t *testing.T) {
	s := newServer(t)
	p := remotetest.NewProxy(t, s.URL, 1)
	content := strings.Repeat("abcdefghij", 1000)
	remotetest.Rounds(t, len(p.Kinds()), p, func(ctx context.Context, round int) error {
		var all error
		for range 5 {
			_, _, err := ask(short, "PUT", p.URL(), content)
			all = errors.Join(all, err)
			_, _, err = ask(short, "GET", p.URL(), "")
			all = errors.Join(all, err)
		}
		return all
	}, func(ctx context.Context, round int) error {
		if _, _, err := ask(long, "PUT", p.URL(), content); err != nil {
			return err
		}
		_, got, err := ask(long, "GET", p.URL(), "")
		if got != content {
			return errors.Join(err, errors.New("other bytes came back"))
		}
		return err
	})
}

func TestRoundsOfTCP(t *testing.T) {
	p := remotetest.NewTCPProxy(t, echo(t), 1)
	text := strings.Repeat("0123456789", 50_000)
	remotetest.Rounds(t, 2*len(p.Kinds()), p, func(context.Context, int) error {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = talk(short, conn, text)
		return err
	}, func(context.Context, int) error {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			return err
		}
		defer conn.Close()
		got, err := talk(long, conn, "hello")
		if got != "hello" {
			return errors.Join(err, errors.New("other bytes came back"))
		}
		return err
	})
}
