//go:build ignore

// The registry of the CNCF with what tests need of it: files and passwords, without
// the clients of all clouds, which are most of its own program.
//
//	go build -modfile=hack/servers/oci.mod hack/servers/registry.go
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if registry.RootCmd.Execute() != nil {
		os.Exit(1)
	}
}
