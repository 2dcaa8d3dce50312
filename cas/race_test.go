//go:build race

package cas_test

// faultStep is how many operations there are from one that fails to the next:
// the race detector makes all of them some times slower, and what it looks for
// does not depend on which one fails. Without it every single one fails.
const faultStep = 7
