//go:build !race

package cas_test

const faultStep = 1
