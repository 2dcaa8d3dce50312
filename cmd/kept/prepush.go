package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
)

// prePush sends what the commits name that Git is about to push, and stops the push
// where it can't be proven that a remote has it. Git gives the name of its remote,
// and the refs on standard input.
func (u *ui) prePush(cmd *cobra.Command, r *core.Repository, given []string) error {
	updates, err := git.ReadUpdates(os.Stdin)
	if err != nil {
		return err
	}
	meter := u.watchTransfer(pushing.doing)
	done, err := r.PushOutgoing(cmd.Context(), append(given, "")[0], updates, core.TransferOptions{Dial: u.dial(0, false), Meter: meter.of})
	meter.stop()
	if err == nil && done != nil {
		err = lacking(done, pushing)
	}
	if err != nil {
		code := u.fail(cmd.Context(), err)
		u.say("kept: the push is stopped; git push --no-verify goes on without the artifacts")
		return &statusError{code: code}
	}
	if done == nil {
		return nil
	}
	for _, t := range done.List {
		if t.Objects > 0 {
			u.say("kept: pushed %s to %s: %s", plural(t.Objects, "object"), clean(t.Remote.Name), carriedText(t, pushing, false))
		}
	}
	return nil
}
