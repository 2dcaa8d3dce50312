package remotetest

import "testing"

// TestServers builds or installs every server that has to be: the tests that start them
// have no time for it.
func TestServers(t *testing.T) {
	for module, pkg := range map[string]string{
		"s3":  s3Program,
		"oci": ociProgram,
		"gcs": gcsProgram,
	} {
		t.Run(module, func(t *testing.T) { Build(t, module, pkg) })
	}
	t.Run("azurite", func(t *testing.T) { buildAzurite(t) })
}
