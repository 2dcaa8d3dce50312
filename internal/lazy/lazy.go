// Package lazy puts off what would otherwise cost every start of the program.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp returns a function that compiles pattern on its first call and gives
// the same result ever after. A pattern that does not compile panics then, so
// each one needs a test that gets there.
//
// A pattern in a package variable is compiled at every start. One of them takes
// 5 to 200 microseconds, and the program is started by every change of Git's index.
func Regexp(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
