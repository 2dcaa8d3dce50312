package environment

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/lazy"
)

// darwinFlags are the features by which libraries choose kernels on Intel; the
// model of an Apple processor says as much.
var darwinFlags = lazy.Regexp(`^(sse|ssse|avx|fma|f16c|bmi|aes|popcnt)`)

func (m *Machine) captureSystem(place Place) {
	m.System.Kernel, _ = unix.Sysctl("kern.osrelease")
	if version, err := unix.Sysctl("kern.osproductversion"); err == nil {
		m.System.Distribution = "macOS " + version
	}
	m.CPU.Model, _ = unix.Sysctl("machdep.cpu.brand_string")
	for _, name := range []string{"machdep.cpu.features", "machdep.cpu.leaf7_features"} {
		features, _ := unix.Sysctl(name)
		for _, flag := range strings.Fields(strings.ToLower(features)) {
			if darwinFlags().MatchString(flag) {
				m.CPU.Flags = append(m.CPU.Flags, flag)
			}
		}
	}
	slices.Sort(m.CPU.Flags)
	if n, err := unix.SysctlUint32("hw.logicalcpu"); err == nil {
		m.CPU.Logical = int(n)
	}
	if n, err := unix.SysctlUint32("hw.physicalcpu"); err == nil {
		m.CPU.Physical = int(n)
	}
	if n, err := unix.SysctlUint64("hw.memsize"); err == nil {
		m.Memory = int64(n)
	}
	var fs unix.Statfs_t
	if unix.Statfs(place.Dir, &fs) == nil {
		m.FileSystem = &FileSystem{Type: unix.ByteSliceToString(fs.Fstypename[:])}
	}
}

func clockSynchronized() *bool { return nil }
