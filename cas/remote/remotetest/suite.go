// Package remotetest is what tests of remotes share: what every kind must do, the
// servers of the field, and faults in between. For tests only.
package remotetest

import (
	"context"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/check"
)

// caseTime is longer than any case takes on a busy machine.
const caseTime = 5 * time.Minute

// Run runs what package check says that every remote must do against the one that
// open opens: twice or more often, and always the same. Of a kind's own, without Steady.
func Run(t *testing.T, open func(tb testing.TB) remote.Remote) {
	t.Helper()
	run(t, open, nil)
}

// RunReadOnly is Run for a kind that only reads. writer puts files there by another way.
func RunReadOnly(t *testing.T, open func(tb testing.TB) remote.Remote, writer remote.Remote) {
	t.Helper()
	run(t, open, writer)
}

func run(t *testing.T, open func(tb testing.TB) remote.Remote, writer remote.Remote) {
	t.Helper()
	r := open(t)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	place := check.Place{
		Remote: r,
		Open:   func(context.Context) (remote.Remote, error) { return open(t), nil },
		Writer: writer,
	}
	for _, c := range check.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTime)
			defer cancel()
			err := c.Run(ctx, place)
			reason, skipped := check.Skipped(err)
			switch {
			case skipped && (writer != nil || reason != check.ReadOnly):
				t.Log("does not apply: ", reason) // no Skip: that is of this kind, and not of the machine
			case err != nil:
				t.Error(err)
			}
		})
	}
}
