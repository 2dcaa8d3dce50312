package remotetest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Kind is what goes wrong on the way to a server.
type Kind string

// What a Proxy or a TCPProxy can do; see Kinds of each for what it knows.
const (
	Refuse        Kind = "refuse"         // the connection is reset before anything is answered
	CutRequest    Kind = "cut-request"    // ... in the middle of what is sent
	CutResponse   Kind = "cut-response"   // ... in the middle of what comes back
	LoseResponse  Kind = "lose-response"  // the server does it, and the answer is lost
	Stall         Kind = "stall"          // no answer comes
	StallRequest  Kind = "stall-request"  // what is sent is taken only in part
	StallResponse Kind = "stall-response" // what comes back ends to come
	Delay         Kind = "delay"          // everything takes Trouble.Delay longer
	FlipRequest   Kind = "flip-request"   // one bit of what is sent arrives otherwise
	FlipResponse  Kind = "flip-response"  // one bit of what comes back arrives otherwise

	// Of HTTP alone.
	TooMany      Kind = "429"
	ServerError  Kind = "500"
	BadGateway   Kind = "502"
	Busy         Kind = "503"
	TooLate      Kind = "504"
	TooManyAfter Kind = "429-after" // with Retry-After: 1
	BusyAfter    Kind = "503-after"
	Unauthorized Kind = "401"
	Forbidden    Kind = "403"
	ShortBody    Kind = "short-body" // the body ends early, and says that this is its end
	LongBody     Kind = "long-body"  // the body has more at its end, and says that it belongs to it
	ZeroBody     Kind = "zero-body"  // the end of the body is zeros
	Page         Kind = "page"       // some page that greets whoever asks for anything
	Twice        Kind = "twice"      // the server gets the request twice
	Rewrite      Kind = "rewrite"    // the body goes through Trouble.Rewrite
	Answer       Kind = "answer"     // Trouble.Answer answers in place of the server
)

// Trouble is something that goes wrong for a while.
type Trouble struct {
	Kind Kind
	// Match says which requests it is about, by HTTP; nil is all that can have it.
	Match func(*http.Request) bool
	// Nth is the first of them that has it, from 1; 0 is the first. By TCP it is the Nth
	// connection on which something moves.
	Nth int
	// Times is how many have it from then on; 0 is one, less is all.
	Times int
	// At is the byte of the body at which it happens, or -1 for any. By TCP it is counted from
	// when the connection was met.
	At int64
	// Delay is that of Delay.
	Delay time.Duration
	// Rewrite returns another body in place of what came back.
	Rewrite func(body []byte) []byte
	Answer  http.HandlerFunc
}

// Troubled is a proxy on which things go wrong.
type Troubled interface {
	// Kinds returns all that can go wrong on their own.
	Kinds() []Kind
	// Set replaces what goes wrong, and counts from here on; nothing is that all goes well.
	Set(troubles ...Trouble)
	// Random returns a trouble that strikes somewhere.
	Random(kind Kind) Trouble
	// Requests returns how many requests or connections there were since Set.
	Requests() int
	// Struck returns how often something went wrong since Set.
	Struck() int
}

// troubles decides what has what.
type troubles struct {
	mu       sync.Mutex
	random   *rand.Rand
	list     []*met
	requests int
	struck   int
}

// met is a Trouble and how many it has met.
type met struct {
	Trouble
	seen int
}

func newTroubles(seed uint64) *troubles { return &troubles{random: rand.New(rand.NewPCG(seed, 1))} }

// Set implements Troubled.
func (t *troubles) Set(list ...Trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list, t.requests, t.struck = nil, 0, 0
	for _, one := range list {
		t.list = append(t.list, &met{Trouble: one})
	}
}

// Requests implements Troubled.
func (t *troubles) Requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// Struck implements Troubled.
func (t *troubles) Struck() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.struck
}

// meet returns what goes wrong with one that a trouble can be about, or nil.
func (t *troubles) meet(about func(Trouble) bool) *Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	var struck *Trouble
	for _, m := range t.list {
		if !about(m.Trouble) {
			continue
		}
		m.seen++
		nth, times := max(m.Nth, 1), m.Times
		if times == 0 {
			times = 1
		}
		if struck == nil && m.seen >= nth && (times < 0 || m.seen < nth+times) {
			one := m.Trouble
			struck = &one
			t.struck++
		}
	}
	return struck
}

// at returns where in so many bytes it happens; a negative size is one that is not known.
func (t *troubles) at(one *Trouble, size int64) int64 {
	switch {
	case one.At >= 0 && size < 0:
		return one.At
	case one.At >= 0:
		return min(one.At, size)
	case size < 0:
		size = 1000
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.random.Int64N(max(size, 1))
}

// Rounds does faulted n times, with each kind of trouble in turn, and then, when all goes
// well again, after, which must succeed. Whether faulted does depends on the trouble. It
// logs how often each kind has struck, and fails if one of them never has.
func Rounds(t *testing.T, n int, p Troubled, faulted, after func(ctx context.Context, round int) error) {
	t.Helper()
	struck, failed := map[Kind]int{}, map[Kind]int{}
	kinds := p.Kinds()
	for i := range n {
		kind := kinds[i%len(kinds)]
		p.Set(p.Random(kind))
		was := faulted(t.Context(), i)
		struck[kind] += p.Struck()
		if was != nil {
			failed[kind]++
		}
		p.Set()
		if err := after(t.Context(), i); err != nil {
			t.Fatalf("round %d, after %s (which said: %v): %v", i, kind, was, err)
		}
	}
	for _, kind := range kinds[:min(n, len(kinds))] {
		t.Logf("%-15s has struck %d times; of its rounds %d failed", kind, struck[kind], failed[kind])
		if struck[kind] == 0 {
			t.Errorf("%s has never struck", kind)
		}
	}
}
