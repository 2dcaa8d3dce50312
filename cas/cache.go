package cas

import (
	"container/list"
	"sync"

	"github.com/kept-dev/kept/cas/pack"
)

// cacheBytes bounds the plain bytes of the groups that are kept decoded: enough
// for some readers that each go through the store in its order.
const cacheBytes = 32 << 20

type groupName struct {
	pack  pack.Name
	group uint32
}

// groupCache keeps groups decoded that were read lately. Of many who want one
// group, one decodes it.
type groupCache struct {
	mu    sync.Mutex
	known map[groupName]*list.Element
	order *list.List // of *cachedGroup, the latest first
	bytes int
}

type cachedGroup struct {
	name  groupName
	ready chan struct{}
	plain []byte
	err   error
}

func newGroupCache() *groupCache {
	return &groupCache{known: map[groupName]*list.Element{}, order: list.New()}
}

// get returns the group from the cache or from decode. A failure is told to
// those who wait for it and not remembered.
func (c *groupCache) get(name groupName, decode func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	if e := c.known[name]; e != nil {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		g := e.Value.(*cachedGroup)
		<-g.ready
		return g.plain, g.err
	}
	g := &cachedGroup{name: name, ready: make(chan struct{})}
	e := c.order.PushFront(g)
	c.known[name] = e
	c.mu.Unlock()

	plain, err := decode()

	c.mu.Lock()
	defer c.mu.Unlock()
	g.plain, g.err = plain, err
	close(g.ready)
	c.bytes += len(plain)
	if err != nil {
		c.drop(e)
		return nil, err
	}
	for c.bytes > cacheBytes && c.order.Len() > 1 {
		last := c.order.Back()
		if last == e || last.Value.(*cachedGroup).plain == nil {
			break // it is being decoded
		}
		c.drop(last)
	}
	return plain, nil
}

// forget makes the next get decode the group again.
func (c *groupCache) forget(name groupName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.known[name]; e != nil && e.Value.(*cachedGroup).plain != nil {
		c.drop(e)
	}
}

func (c *groupCache) drop(e *list.Element) {
	g := e.Value.(*cachedGroup)
	delete(c.known, g.name)
	c.bytes -= len(g.plain)
	c.order.Remove(e)
}

// buffers is a pool of byte slices that grow to what their users need.
type buffers struct{ pool sync.Pool }

var storedBuffers, plainBuffers buffers

// get returns a slice of any length and capacity.
func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return nil
}

func (b *buffers) put(p []byte) {
	if cap(p) > 0 && cap(p) <= 2*groupMost {
		b.pool.Put(&p)
	}
}
