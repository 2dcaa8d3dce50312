package disk

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"

	"github.com/kept-dev/kept/internal/reuse"
)

const (
	// blockSize is what Bulk writes at once: large enough for a disk to be busy
	// with it, small enough for the memory of a processor's cache.
	blockSize = 2 << 20
	// alignment is that of a block in memory and in the file: a page, which is a
	// multiple of the sectors of any disk.
	alignment = 4096
	// waitingBlocks is how many full blocks wait for the disk before the writers do.
	waitingBlocks = 2
)

// Bulk is a Temp for much data, of which every byte is written once and, up to the last one,
// before Sync. It is collected in blocks, so that the file can take it past the operating
// system's memory: copying into that costs about what compressing does, and pushes out of
// it what somebody needs.
type Bulk struct {
	t Temp

	mu   sync.Mutex
	open map[int64]*block // by number, those that are not full
	full chan *block      // to the goroutine that writes, which the first full block starts
	done chan struct{}    // it has ended
	end  int64            // of Write
	err  error            // the first failed write
}

// block is a part of the file, aligned in memory.
type block struct {
	bytes  []byte
	number int64
	filled int // bytes
	end    int // of the last of them
}

func (k *block) offset() int64 { return k.number * blockSize }

var blocks = reuse.Stack[*block]{New: func() *block {
	b := make([]byte, blockSize+alignment)
	skip := -uintptr(unsafe.Pointer(&b[0])) & (alignment - 1)
	return &block{bytes: b[skip : skip+blockSize]}
}}

// NewBulk returns t, which is empty, as a Bulk. Only that is to be used from now on.
func NewBulk(t Temp) *Bulk { return &Bulk{t: t, open: map[int64]*block{}} }

var errHole = errors.New("not every byte of the file was written")

// WriteAt implements Temp. An error may be that of an earlier write.
func (b *Bulk) WriteAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		k, err := b.block((offset + int64(n)) / blockSize)
		if err != nil {
			return n, err
		}
		// Nobody else writes these bytes.
		at := int(offset + int64(n) - k.offset())
		part := copy(k.bytes[at:], p[n:])
		n += part
		b.fill(k, part, at+part)
	}
	return n, nil
}

// block returns a block that is not full.
func (b *Bulk) block(number int64) (*block, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	k := b.open[number]
	if k == nil {
		k = blocks.Get()
		k.number, k.filled, k.end = number, 0, 0
		b.open[number] = k
	}
	return k, nil
}

// fill counts n bytes of a block up to end, and hands it over when it is full.
func (b *Bulk) fill(k *block, n, end int) {
	b.mu.Lock()
	k.filled += n
	k.end = max(k.end, end)
	full := k.filled == blockSize
	if full {
		delete(b.open, k.number)
		if b.full == nil {
			b.full, b.done = make(chan *block, waitingBlocks), make(chan struct{})
			spare()
			go b.write()
		}
	}
	b.mu.Unlock()
	if full {
		b.full <- k
	}
}

// spare has one goroutine more run at once than there are processors. The one that waits for the
// disk counts as running for most of that time: Go's scheduler finds out late that a system call
// takes long, and a processor would be idle.
var spare = sync.OnceFunc(func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) })

// write writes full blocks until no more come.
func (b *Bulk) write() {
	defer close(b.done)
	for k := range b.full {
		if b.failure() == nil {
			_, err := b.t.WriteBlock(k.bytes, k.offset())
			b.fail(err)
		}
		blocks.Put(k)
	}
}

func (b *Bulk) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *Bulk) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

// Write implements Temp.
func (b *Bulk) Write(p []byte) (int, error) {
	b.mu.Lock()
	at := b.end
	b.end += int64(len(p))
	b.mu.Unlock()
	return b.WriteAt(p, at)
}

// settle has everything in the file.
func (b *Bulk) settle() error {
	b.finish()
	err := b.failure()
	for _, k := range b.open {
		switch {
		case err != nil:
		case len(b.open) > 1 || k.filled < k.end:
			err = errHole
		default:
			err = b.writeLast(k)
		}
		blocks.Put(k)
	}
	clear(b.open)
	b.fail(err)
	return err
}

// writeLast writes the block that is not full: that of a large file as those before it, but for
// what is less than a page, and that of a small one, which has no other, as any file is.
func (b *Bulk) writeLast(k *block) error {
	pages := 0
	if k.number > 0 {
		pages = k.filled &^ (alignment - 1)
	}
	if pages > 0 {
		if _, err := b.t.WriteBlock(k.bytes[:pages], k.offset()); err != nil || pages == k.filled {
			return err
		}
	}
	_, err := b.t.WriteAt(k.bytes[pages:k.filled], k.offset()+int64(pages))
	return err
}

// finish waits until the full blocks are written.
func (b *Bulk) finish() {
	if b.full != nil {
		close(b.full)
		<-b.done
		b.full = nil
	}
}

// WriteBlock implements Temp.
func (b *Bulk) WriteBlock(p []byte, offset int64) (int, error) { return b.WriteAt(p, offset) }

// ReadAt implements Temp, of what was there before Sync.
func (b *Bulk) ReadAt(p []byte, offset int64) (int, error) { return b.t.ReadAt(p, offset) }

// Sync implements Temp.
func (b *Bulk) Sync() error {
	if err := b.settle(); err != nil {
		return err
	}
	return b.t.Sync()
}

// Publish implements Temp.
func (b *Bulk) Publish(name string) error {
	if err := b.settle(); err != nil {
		return err
	}
	return b.t.Publish(name)
}

// Discard implements Temp.
func (b *Bulk) Discard() {
	b.fail(errDiscarded)
	b.finish()
	b.t.Discard()
}

var errDiscarded = errors.New("the file was discarded")
