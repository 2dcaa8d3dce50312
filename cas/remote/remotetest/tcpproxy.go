package remotetest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// TCPProxy stands before any server. A trouble is about the next connection on which
// something moves in its direction, be it an old one.
type TCPProxy struct {
	*troubles
	target   string
	listener net.Listener
	over     chan struct{}
	running  sync.WaitGroup

	open   map[*link]struct{}
	closed bool
}

// NewTCPProxy starts a proxy before the server at target, a host and port.
func NewTCPProxy(tb testing.TB, target string, seed uint64) *TCPProxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &TCPProxy{troubles: newTroubles(seed), target: target, listener: listener, over: make(chan struct{}), open: map[*link]struct{}{}}
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		close(p.over)
		_ = listener.Close()
		p.mu.Lock()
		p.closed = true
		for l := range p.open {
			l.cut()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// Addr returns the host and port to ask in place of the server's.
func (p *TCPProxy) Addr() string { return p.listener.Addr().String() }

// Kinds implements Troubled.
func (p *TCPProxy) Kinds() []Kind {
	return []Kind{Refuse, CutRequest, CutResponse, StallRequest, StallResponse, Delay, FlipRequest, FlipResponse}
}

func (p *TCPProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuses() {
			cut(client)
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			cut(client)
			continue
		}
		l := &link{p: p, client: client, server: server}
		p.mu.Lock()
		p.open[l] = struct{}{}
		if p.closed {
			l.cut()
		}
		p.mu.Unlock()
		p.running.Go(func() { l.pump(server, client, true) })
		p.running.Go(func() { l.pump(client, server, false) })
	}
}

// Random implements Troubled. A client of the field may have one connection for all.
func (p *TCPProxy) Random(kind Kind) Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Trouble{Kind: kind, Times: 1 + p.random.IntN(3), At: -1, Delay: 50 * time.Millisecond}
}

// refuses decides about a new connection.
func (p *TCPProxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	for _, m := range p.list {
		if m.Kind == Refuse && (m.Times < 0 || m.seen < max(m.Times, 1)) {
			m.seen++
			p.struck++
			return true
		}
	}
	return false
}

// link is one connection through the proxy.
type link struct {
	p              *TCPProxy
	client, server net.Conn

	// left is how many bytes move before a trouble strikes that this link has met; -1 is
	// that it is not its turn, or over. The lock is that of p.
	left map[*met]int64
}

func cut(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func (l *link) cut() {
	cut(l.client)
	cut(l.server)
}

// pump moves bytes in one direction until one of the ends has enough.
func (l *link) pump(to, from net.Conn, sent bool) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && !l.pass(to, b[:n], sent) {
			break
		}
		if err == io.EOF { // the other direction may go on
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			return
		}
		if err != nil {
			break
		}
	}
	l.cut()
	l.p.mu.Lock()
	delete(l.p.open, l)
	l.p.mu.Unlock()
}

// pass moves some bytes, and what goes wrong with them. It returns false when the
// connection is over.
func (l *link) pass(to net.Conn, b []byte, sent bool) bool {
	one, at := l.strike(int64(len(b)), sent)
	if one == nil {
		_, err := to.Write(b)
		return err == nil
	}
	switch one.Kind {
	case Refuse:
		return false
	case Delay:
		select {
		case <-time.After(one.Delay):
		case <-l.p.over:
		}
	case FlipRequest, FlipResponse:
		flip(b, at)
	case CutRequest, CutResponse:
		_, _ = to.Write(b[:at])
		return false
	case StallRequest, StallResponse:
		_, _ = to.Write(b[:at])
		<-l.p.over
		return false
	}
	_, err := to.Write(b)
	return err == nil
}

// strike returns what goes wrong with the next n bytes, and where in them.
func (l *link) strike(n int64, sent bool) (*Trouble, int64) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	for _, m := range l.p.list {
		if !about(m.Kind, sent) {
			continue
		}
		left, known := l.left[m]
		if !known {
			left = l.meet(m)
		}
		if left >= n {
			l.left[m] = left - n
			continue
		}
		if left < 0 {
			continue
		}
		if m.Kind != Delay {
			l.left[m] = -1
		}
		l.p.struck++
		one := m.Trouble
		return &one, left
	}
	return nil, 0
}

// meet decides whether it is this link's turn to have a trouble, and when.
func (l *link) meet(m *met) int64 {
	if l.left == nil {
		l.left = map[*met]int64{}
	}
	l.left[m] = -1
	if m.Kind == Refuse {
		if m.seen == 0 { // what is connected already goes before the first is refused
			l.left[m] = 0
		}
		return l.left[m]
	}
	m.seen++
	nth := max(m.Nth, 1)
	if m.seen < nth || m.Times >= 0 && m.seen >= nth+max(m.Times, 1) {
		return -1
	}
	switch {
	case m.Kind == Delay:
		l.left[m] = 0
	case m.At >= 0:
		l.left[m] = m.At
	default: // as often among few bytes as among many
		l.left[m] = l.p.random.Int64N(2 << l.p.random.IntN(18))
	}
	return l.left[m]
}

func about(k Kind, sent bool) bool {
	switch k {
	case CutRequest, StallRequest, FlipRequest:
		return sent
	case CutResponse, StallResponse, FlipResponse:
		return !sent
	}
	return sent // Refuse, Delay
}
