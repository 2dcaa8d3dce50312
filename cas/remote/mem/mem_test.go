package mem_test

import (
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/mem"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func TestRemote(t *testing.T) {
	r := mem.New()
	remotetest.Run(t, func(testing.TB) remote.Remote { return r })
}
