package workspace

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// workers is how many goroutines look at files: two keep a disk busy on one
// core, and more than four only wait for each other in the kernel.
func workers() int { return min(max(runtime.GOMAXPROCS(0), 2), 4) }

// pool runs tasks that add tasks.
type pool[S any] struct {
	ctx   context.Context
	mu    sync.Mutex
	more  sync.Cond
	tasks []func(*S) error // the last one in is the next one out: memory stays small
	open  int              // tasks waiting or running
	err   error
}

func newPool[S any](ctx context.Context) *pool[S] {
	p := &pool[S]{ctx: ctx}
	p.more.L = &p.mu
	return p
}

func (p *pool[S]) add(task func(*S) error) {
	p.mu.Lock()
	p.tasks = append(p.tasks, task)
	p.open++
	p.mu.Unlock()
	p.more.Signal()
}

// run works until no task is left or one has failed, and returns that error.
func (p *pool[S]) run() error {
	var done sync.WaitGroup
	for range workers() {
		done.Go(p.work)
	}
	done.Wait()
	return p.err
}

func (p *pool[S]) work() {
	var scratch S
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.tasks) == 0 && p.open > 0 && p.err == nil {
			p.more.Wait()
		}
		if p.open == 0 || p.err != nil {
			return
		}
		task := p.tasks[len(p.tasks)-1]
		p.tasks = p.tasks[:len(p.tasks)-1]
		p.mu.Unlock()
		err := p.ctx.Err()
		if err == nil {
			err = task(&scratch)
		}
		p.mu.Lock()
		if p.open--; p.err == nil {
			p.err = err
		}
		if p.open == 0 || p.err != nil {
			p.more.Broadcast()
		}
	}
}

// inOrder calls do with 0 to n-1 from several goroutines, which take runs of
// neighbours, and returns an error of the first run that had one. Scratch is
// what one goroutine needs for itself.
func inOrder[S any](ctx context.Context, n, run int, do func(scratch *S, i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		mu     sync.Mutex
		first  error
		at     = n
		done   sync.WaitGroup
	)
	work := func() {
		var scratch S
		for !failed.Load() {
			start := int(next.Add(int64(run))) - run
			for i := start; i < min(start+run, n); i++ {
				err := ctx.Err()
				if err == nil {
					err = do(&scratch, i)
				}
				if err == nil {
					continue
				}
				mu.Lock()
				if i < at {
					first, at = err, i
				}
				mu.Unlock()
				failed.Store(true)
				return
			}
			if start >= n {
				return
			}
		}
	}
	for range min(workers(), (n+run-1)/run) {
		done.Go(work)
	}
	done.Wait()
	return first
}
