package sftp

import (
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

var (
	WithoutMatch = withoutMatch
	KindOf       = kindOf
)

// SetQuiet makes r ask sooner whether the host is there.
func SetQuiet(r remote.Remote, quiet time.Duration) { r.(*folder).quiet = quiet }
