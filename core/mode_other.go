//go:build !unix

package core

const modeMatters = false
