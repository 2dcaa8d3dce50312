package pack

import (
	"container/list"
	"sync"
)

// maxOpen is how many packs a Set keeps open.
const maxOpen = 64

// cache keeps the packs that were asked for last.
type cache struct {
	mu    sync.Mutex
	packs map[Name]*list.Element
	order list.List // of *Pack, the one asked for last in front
}

func (c *cache) get(name Name) *Pack {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.packs[name]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*Pack)
}

// add keeps p, unless somebody else was faster, and returns what is kept.
func (c *cache) add(p *Pack) *Pack {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.packs[p.name]; ok {
		p.Close()
		return e.Value.(*Pack)
	}
	if c.packs == nil {
		c.packs = map[Name]*list.Element{}
	}
	c.packs[p.name] = c.order.PushFront(p)
	if c.order.Len() > maxOpen {
		c.drop(c.order.Back())
	}
	return p
}

// remove forgets the packs that are not to stay.
func (c *cache) remove(stays func(Name) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, e := range c.packs {
		if !stays(name) {
			c.drop(e)
		}
	}
}

func (c *cache) drop(e *list.Element) {
	p := c.order.Remove(e).(*Pack)
	delete(c.packs, p.name)
	p.Close()
}
