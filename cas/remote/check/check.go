// Package check is what every kind of remote must do, as cases that run against a
// real one: by tests of each kind, and by "kept remote check" against a user's own.
//
//	place := check.Place{Remote: r, Open: open}
//	for _, c := range check.Cases() {
//		err := c.Run(ctx, place)
//		reason, skipped := check.Skipped(err)
//	}
//
// A case works in a folder of its own, check/<random>/, and deletes its files
// where the remote can.
package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

// Case is one thing that a remote must do.
type Case struct {
	// Name says what, in a few words.
	Name string
	// Large says that it moves much more, or asks much more often, than the others.
	Large bool

	run func(ctx context.Context, e *env) error
}

// Place is a remote to look at.
type Place struct {
	Remote remote.Remote
	// Open opens the same remote once more. The case closes what it opened.
	Open func(ctx context.Context) (remote.Remote, error)
	// Writer puts files there by another way, where Remote itself is read-only. nil is Remote.
	Writer remote.Remote
}

// Cases returns all of them. They do not depend on each other.
func Cases() []Case {
	return slices.Concat(putCases(), replaceCases(), getCases(), statCases(), listCases(), deleteCases(), nameCases(), cancelCases(), togetherCases())
}

// Run returns what is wrong with the remote, or an error that Skipped knows.
// ctx limits how long it takes.
func (c Case) Run(ctx context.Context, p Place) error {
	e := &env{Place: p, folder: "check/" + strings.ToLower(rand.Text()[:8]) + "/"}
	defer e.clean(ctx)
	return c.run(ctx, e)
}

// ReadOnly is the reason for which a case does not apply where nothing can be written.
const ReadOnly = "it is read-only"

// Skipped returns why a case does not apply to a remote, if that is what its error
// says.
func Skipped(err error) (reason string, skipped bool) {
	s := new(skip)
	if errors.As(err, &s) {
		return s.reason, true
	}
	return "", false
}

// skip is the error of a case that does not apply.
type skip struct{ reason string }

func (s *skip) Error() string { return "does not apply: " + s.reason }

// env is where a case works.
type env struct {
	Place
	folder string

	mu   sync.Mutex
	made []string
}

// name returns the full name of a file of this case, which is deleted afterwards.
func (e *env) name(word string) string {
	name := e.folder + word
	e.mu.Lock()
	defer e.mu.Unlock()
	e.made = append(e.made, name)
	return name
}

// second opens the remote once more.
func (e *env) second(ctx context.Context) (remote.Remote, error) {
	if e.Open == nil {
		return nil, &skip{"it can't be opened a second time here"}
	}
	r, err := e.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a second time: %w", err)
	}
	return r, nil
}

func (e *env) writer() remote.Remote {
	if e.Writer != nil {
		return e.Writer
	}
	return e.Remote
}

// clean deletes, also after ctx has ended, what the case has made.
func (e *env) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	slices.Sort(e.made)
	names := slices.Compact(e.made)
	if len(names) == 0 {
		return
	}
	if err := e.writer().Delete(ctx, names[0]); err != nil {
		return // it can't, or is gone: the case has said so where it matters
	}
	_ = inParallel(names[1:], func(_ int, name string) error { return e.writer().Delete(ctx, name) })
}

// parallel is how many requests run at once where a case makes many.
const parallel = 16

// inParallel calls do for each item, several at once, and returns all errors.
func inParallel[T any](items []T, do func(i int, item T) error) error {
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	errs := make([]error, len(items))
	for i, item := range items {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			errs[i] = do(i, item)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
