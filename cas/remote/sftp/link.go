package sftp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	quiet = 15 * time.Second
	// inFlight are requests of one file that wait for their answer, of 32 KiB each.
	inFlight = 64
)

// link is a connection to the host with a few sessions on it.
type link struct {
	client *ssh.Client
	conn   *watched
	dead   chan struct{} // closed when the connection has ended

	closed   atomic.Bool
	mu       sync.Mutex
	sessions []*session
	most     int
}

type session struct {
	link   *link
	client *sftp.Client
	busy   int // guarded by link.mu
}

// session returns one on a connection that works, as far as known.
func (d *folder) session(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case d.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.gate }()
	if d.link != nil && !d.link.ended() {
		s, err := d.link.session(ctx)
		if err == nil || ctx.Err() != nil {
			return s, err
		}
		d.link.close() // it was not known yet that it has ended
	}
	client, conn, err := dial(ctx, d.url)
	if err != nil {
		return nil, err
	}
	d.link = newLink(client, conn, d.quiet)
	return d.link.session(ctx)
}

func newLink(client *ssh.Client, conn *watched, quiet time.Duration) *link {
	l := &link{client: client, conn: conn, dead: make(chan struct{}), most: maxSessions}
	go func() {
		_ = client.Wait() // why it ended, the calls on it say
		close(l.dead)
	}()
	go l.watch(quiet)
	return l
}

func (l *link) ended() bool {
	if l.closed.Load() {
		return true
	}
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

func (l *link) close() {
	l.closed.Store(true)
	_ = l.client.Close() // it may be closed
}

// watch closes a connection over which nothing comes any more, so that what waits for
// an answer gets an error.
func (l *link) watch(quiet time.Duration) {
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		select {
		case <-l.dead:
			return
		case <-tick.C:
		}
		switch silence := l.conn.silence(); {
		case silence > 3*quiet:
			l.close()
			return
		case silence > quiet/2:
			// In a goroutine: when the line is dead, the request can't even be written.
			go func() { _, _, _ = l.client.SendRequest("keepalive@openssh.com", true, nil) }()
		}
	}
}

// session returns the least busy session, or a new one while there may be more. Called under the gate.
func (l *link) session(ctx context.Context) (*session, error) {
	if s := l.take(false); s != nil {
		return s, nil
	}
	c, err := l.open(ctx)
	if err != nil {
		if s := l.take(true); s != nil {
			l.most = 1 // the host allows no more than there are
			return s, nil
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &session{link: l, client: c, busy: 1}
	l.sessions = append(l.sessions, s)
	go func() {
		_ = c.Wait() // why it ended, the calls on it say
		l.drop(s)
	}()
	return s, nil
}

// take returns the least busy session; if not any, only an idle one or one of as many as there may be.
func (l *link) take(anyOne bool) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var best *session
	for _, s := range l.sessions {
		if best == nil || s.busy < best.busy {
			best = s
		}
	}
	if best == nil || best.busy > 0 && len(l.sessions) < l.most && !anyOne {
		return nil
	}
	best.busy++
	return best
}

func (l *link) drop(gone *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.sessions {
		if s == gone {
			l.sessions = append(l.sessions[:i:i], l.sessions[i+1:]...)
			return
		}
	}
}

func (s *session) release() {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.busy--
}

// open starts the sftp subsystem. The client knows no context: what comes after ctx has ended is closed.
func (l *link) open(ctx context.Context) (*sftp.Client, error) {
	type result struct {
		client *sftp.Client
		err    error
	}
	done := make(chan result, 1)
	go func() {
		c, err := sftp.NewClient(l.client, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(inFlight))
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("start sftp on the host: %w", r.err)
		}
		return r.client, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.client.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// watched is a connection that knows when something last came over it.
type watched struct {
	net.Conn
	last atomic.Int64
}

func newWatched(c net.Conn) *watched {
	w := &watched{Conn: c}
	w.last.Store(time.Now().UnixNano())
	return w
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.last.Store(time.Now().UnixNano())
	}
	return n, err
}

func (w *watched) silence() time.Duration { return time.Since(time.Unix(0, w.last.Load())) }
