//go:build !linux && !darwin

package environment

import "os"

// addResources adds nothing: the state of a finished process holds only times.
func (u *Usage) addResources(*os.ProcessState) {}
