package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(u *ui) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return u.json(struct {
					Version  int    `json:"version"`
					Kept     string `json:"kept"`
					Go       string `json:"go"`
					Platform string `json:"platform"`
				}{1, versionText(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
			}
			return u.printVersion()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (u *ui) printVersion() error {
	u.printf("kept %s\n", versionText())
	return nil
}

// versionText is the version that the linker set, or that of the module for a
// binary made by `go install`.
func versionText() string {
	if version != "devel" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
