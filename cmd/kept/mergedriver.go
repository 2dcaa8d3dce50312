package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/hooks"
)

// newMergeDriver is what Git calls to merge kept.lock, see gitattributes(5).
func newMergeDriver() *cobra.Command {
	return &cobra.Command{
		Use:    "merge-driver BASE OURS THEIRS MARKER-SIZE PATH",
		Short:  "Merge kept.lock by stages",
		Hidden: true,
		Args:   args(cobra.ExactArgs(5)),
		RunE: func(cmd *cobra.Command, a []string) error {
			size, err := strconv.Atoi(a[3])
			if err != nil {
				return &usageError{err: err, command: "kept merge-driver"}
			}
			conflicts, err := hooks.MergeDriver(cmd.Context(), a[0], a[1], a[2], size, a[4])
			if err == nil && conflicts > 0 {
				return errFailed
			}
			return err
		},
	}
}
