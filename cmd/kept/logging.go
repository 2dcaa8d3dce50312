package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/events"
)

func newLogParam() *cobra.Command {
	return addExits(&cobra.Command{
		Use:     "log-param NAME VALUE",
		Short:   "Record a parameter of the run that this is part of",
		Long:    "Log-param is for commands of `kept run` in any language. VALUE is read as an integer, a number, true or false, else as text.",
		Example: "  kept log-param learning_rate 0.01",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			return core.Log(events.Param{Name: a[0], Value: parseValue(a[1])})
		},
	}, "2 wrong usage, or not inside a run")
}

func newLogMetric() *cobra.Command {
	var step int64
	cmd := &cobra.Command{
		Use:     "log-metric NAME VALUE",
		Short:   "Record a metric of the run that this is part of",
		Long:    "Log-metric is for commands of `kept run` in any language. Values of one metric by step make its history; the value of the last step is the run's.",
		Example: "  kept log-metric loss 0.53 --step 3",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			v := parseValue(a[1])
			switch v.(type) {
			case int64, float64:
			default:
				return &usageError{err: fmt.Errorf("metric %q: %q is not a number", a[0], a[1]), command: "kept log-metric"}
			}
			e := events.Metric{Name: a[0], Value: v}
			if cmd.Flags().Changed("step") {
				e.Step = &step
			}
			return core.Log(e)
		},
	}
	cmd.Flags().Int64Var(&step, "step", 0, "`step` of the training; the next one where it is left out")
	return addExits(cmd, "2 wrong usage, or not inside a run")
}

func newLogArtifact() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "log-artifact PATH",
		Short:   "Keep a file or folder as an artifact of the run that this is part of",
		Long:    "Log-artifact is for commands of `kept run` in any language. The content is kept as it is when the command ends.",
		Example: "  kept log-artifact plots/roc.png --name roc",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			return core.LogArtifact(name, a[0])
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the artifact's `name`; the file's name without suffix where it is left out")
	return addExits(cmd, "2 wrong usage, or not inside a run")
}

// parseValue reads a value as TOML would, and everything else as text.
func parseValue(s string) any {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return v
	}
	switch s {
	case "true":
		return true
	case "false":
		return false
	}
	return s
}
