package environment

import (
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func (m *Machine) captureSystem(place Place) {
	version := windows.RtlGetVersion()
	m.System.Kernel = fmt.Sprintf("%d.%d.%d", version.MajorVersion, version.MinorVersion, version.BuildNumber)
	m.System.Distribution = registryText(`SOFTWARE\Microsoft\Windows NT\CurrentVersion`, "ProductName")
	m.CPU.Model = registryText(`HARDWARE\DESCRIPTION\System\CentralProcessor\0`, "ProcessorNameString")
	m.CPU.Logical = runtime.NumCPU()
	if kind := volumeType(place.Dir); kind != "" {
		m.FileSystem = &FileSystem{Type: kind}
	}
}

func registryText(path, name string) string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	value, _, err := key.GetStringValue(name)
	if err != nil {
		return ""
	}
	return value
}

func volumeType(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return ""
	}
	var kind [windows.MAX_PATH + 1]uint16
	if windows.GetVolumeInformation(root, nil, 0, nil, nil, nil, &kind[0], uint32(len(kind))) != nil {
		return ""
	}
	return windows.UTF16ToString(kind[:])
}

func clockSynchronized() *bool { return nil }
