package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
)

// newCat and the other commands here are for programs, first of all the Python
// module; docs/spec/plumbing.md lists them.
func newCat(u *ui) *cobra.Command {
	var rev string
	cmd := &cobra.Command{
		Use:    "cat NAME",
		Short:  "Write an artifact's verified content to standard output",
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			w := bufio.NewWriterSize(u.out, 1<<20)
			if err := p.Cat(cmd.Context(), rev, a[0], w); err != nil {
				return err
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&rev, "rev", "", "the `revision` whose lock counts; the working tree's where it is left out")
	return cmd
}

func newPath(u *ui) *cobra.Command {
	var rev string
	cmd := &cobra.Command{
		Use:    "path NAME",
		Short:  "Print the path of an artifact with verified content",
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			path, err := p.Path(cmd.Context(), rev, a[0])
			if err != nil {
				return err
			}
			// For a program, to the byte: no sign is replaced as in words for people.
			_, err = io.WriteString(u.out, path+"\n")
			return errors.Join(err, p.Close())
		},
	}
	cmd.Flags().StringVar(&rev, "rev", "", "the `revision` whose lock counts; the working tree's where it is left out")
	return cmd
}

func newRecord(u *ui) *cobra.Command {
	record := &cobra.Command{Use: "record", Short: "Open and close a run that a program records itself", Hidden: true}
	begin := &cobra.Command{
		Use:  "begin -- ARGUMENT...",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			p, err := core.OpenOrEmpty(".")
			if err != nil {
				return err
			}
			run, err := p.BeginRun(cmd.Context(), argv, versionText())
			if err != nil {
				return err
			}
			return u.json(run)
		},
	}
	begin.Flags().Bool("json", true, "print JSON, the only form there is")
	var exit int
	end := &cobra.Command{
		Use:  "end ID",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			p, err := core.OpenOrEmpty(".")
			if err != nil {
				return err
			}
			defer p.Close()
			return p.EndRun(cmd.Context(), a[0], exit)
		},
	}
	end.Flags().IntVar(&exit, "exit", 0, "the program's exit `status`")
	record.AddCommand(begin, end)
	return record
}
