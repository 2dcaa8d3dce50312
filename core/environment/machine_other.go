//go:build !linux && !darwin && !windows

package environment

func (m *Machine) captureSystem(Place) {}

func clockSynchronized() *bool { return nil }
