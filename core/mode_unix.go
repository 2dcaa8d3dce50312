//go:build unix

package core

// modeMatters tells whether the file system keeps the execute permission.
const modeMatters = true
