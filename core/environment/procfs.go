package environment

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// The files below are those of proc(5), sysfs and os-release(5). They are read
// through an fs.FS that is rooted at "/", so that every system can be tested
// everywhere.

// readProc fills in what a Linux system tells in files. dir is the absolute
// path of the experiment's folder.
func (m *Machine) readProc(root fs.FS, dir string) {
	m.System.Distribution = distribution(root)
	m.System.Libc = libc(root)
	m.CPU.read(root)
	m.Memory = field(root, "proc/meminfo", "MemTotal") << 10
	m.Limits = limits(root)
	m.Container = container(root, m.Container)
	if kind := fileSystemType(root, dir); kind != "" {
		m.FileSystem = &FileSystem{Type: kind}
	}
	if mask := fieldText(root, "proc/self/status", "Umask"); mask != "" {
		m.Umask = mask
	}
}

// text returns the content of a small file, "" where it cannot be read.
func text(root fs.FS, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	// Files of proc have no size; none that is read here is near this one.
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// fieldText returns the value of a line "Name: value".
func fieldText(root fs.FS, file, name string) string {
	for line := range strings.Lines(text(root, file)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// field returns the number of a line "Name: number unit", 0 where there is none.
func field(root fs.FS, file, name string) int64 {
	number, _, _ := strings.Cut(fieldText(root, file, name), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n
}

func distribution(root fs.FS) string {
	release := text(root, "etc/os-release")
	if release == "" {
		release = text(root, "usr/lib/os-release")
	}
	for line := range strings.Lines(release) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

var glibcVersion = lazy.Regexp(`GNU C Library .{0,80}release version ([0-9]+\.[0-9]+)`)

// libc looks for the C library of the system by the names that the loaders use.
func libc(root fs.FS) string {
	for _, pattern := range []string{"lib/*-linux-gnu*/libc.so.6", "usr/lib/*-linux-gnu*/libc.so.6", "lib64/libc.so.6", "usr/lib/libc.so.6"} {
		names, _ := fs.Glob(root, pattern)
		for _, name := range names {
			if found := glibcVersion().FindSubmatch(banner(root, name)); found != nil {
				return "glibc " + string(found[1])
			}
		}
	}
	if names, _ := fs.Glob(root, "lib/ld-musl-*.so.1"); len(names) > 0 {
		return "musl"
	}
	return ""
}

// banner returns the part of a C library in which it says its version.
func banner(root fs.FS, name string) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return nil
	}
	at := bytes.Index(data, []byte("GNU C Library "))
	if at < 0 {
		return nil
	}
	return data[at:min(at+200, len(data))]
}

// vectorFlags matches the instruction sets by which libraries choose kernels,
// on x86 and on ARM.
var vectorFlags = lazy.Regexp(`^(sse|ssse|avx|amx|fma|f16c|bmi|aes|popcnt|asimd|neon|sve|sme($|[0-9_])|bf16|i8mm|fphp|atomics)`)

func (c *CPU) read(root fs.FS) {
	c.readInfo(root)
	siblings := make(map[string]bool)
	names, _ := fs.Glob(root, "sys/devices/system/cpu/cpu[0-9]*")
	for _, name := range names {
		c.Logical++
		if cores := text(root, name+"/topology/thread_siblings_list"); cores != "" {
			siblings[cores] = true
		}
	}
	c.Physical = len(siblings)
	names, _ = fs.Glob(root, "sys/devices/system/node/node[0-9]*")
	c.Nodes = len(names)
}

// readInfo reads the first processor of cpuinfo only: the kernel computes each
// entry when it is read, and there may be hundreds.
func (c *CPU) readInfo(root fs.FS) {
	f, err := root.Open("proc/cpuinfo")
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 64<<10))
	for lines.Scan() && lines.Text() != "" {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			c.Model = strings.TrimSpace(value)
		case "CPU implementer", "CPU part": // ARM has no name here
			c.Model = strings.TrimSpace(c.Model + " " + strings.TrimSpace(value))
		case "flags", "Features":
			for _, flag := range strings.Fields(value) {
				if vectorFlags().MatchString(flag) {
					c.Flags = append(c.Flags, flag)
				}
			}
			slices.Sort(c.Flags)
		}
	}
}

// limits returns what the control group of the process grants, the tightest
// on the way to the root, for both versions of control groups.
func limits(root fs.FS) *Limits {
	var l Limits
	for line := range strings.Lines(text(root, "proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch controllers := strings.Split(parts[1], ","); {
		case parts[0] == "0":
			l.walk(root, "sys/fs/cgroup", parts[2], "cpu.max", "memory.max")
		case slices.Contains(controllers, "memory"):
			l.walk(root, "sys/fs/cgroup/memory", parts[2], "", "memory.limit_in_bytes")
		case slices.Contains(controllers, "cpu"):
			l.walk(root, "sys/fs/cgroup/cpu", parts[2], "cpu.cfs_quota_us", "")
		}
	}
	if l == (Limits{}) {
		return nil
	}
	return &l
}

// unlimitedMemory is where the first version of control groups starts to mean
// "no limit"; it writes the largest multiple of a page.
const unlimitedMemory = 1 << 60

func (l *Limits) walk(root fs.FS, mount, group, cpuFile, memoryFile string) {
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		folder := path.Join(mount, group)
		if share := cpuShare(root, folder, cpuFile); share > 0 && (l.CPUs == 0 || share < l.CPUs) {
			l.CPUs = share
		}
		if memoryFile != "" {
			bytes, err := strconv.ParseInt(text(root, path.Join(folder, memoryFile)), 10, 64)
			if err == nil && bytes > 0 && bytes < unlimitedMemory && (l.Memory == 0 || bytes < l.Memory) {
				l.Memory = bytes
			}
		}
		if group == "/" {
			return
		}
	}
}

func cpuShare(root fs.FS, folder, file string) float64 {
	if file == "" {
		return 0
	}
	quota, period, _ := strings.Cut(text(root, path.Join(folder, file)), " ")
	if period == "" {
		period = text(root, path.Join(folder, "cpu.cfs_period_us"))
	}
	q, err := strconv.ParseFloat(quota, 64) // "max" and -1 are no limit
	p, err2 := strconv.ParseFloat(period, 64)
	if err != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

// containerID matches the identifiers of containers in paths of control groups and mounts.
var containerID = lazy.Regexp(`(docker|containers|libpod|containerd|crio|kubepods)[^ ]*?[/-]([0-9a-f]{64})\b`)

// container looks for the traces that container engines leave in files. known
// is what the environment told.
func container(root fs.FS, known *Container) *Container {
	c := Container{}
	if known != nil {
		c = *known
	}
	name := func(engine string) {
		if c.Engine == "" {
			c.Engine = engine
		}
	}
	if _, err := fs.Stat(root, "run/.containerenv"); err == nil {
		name("podman")
		for line := range strings.Lines(text(root, "run/.containerenv")) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, `"`)
			switch key {
			case "id":
				c.ID = value
			case "image":
				c.Image = value
			case "imageid":
				c.ImageID = value
			}
		}
	}
	for _, file := range []string{"proc/self/cgroup", "proc/self/mountinfo"} {
		// Without a container around it a host shows the containers that it runs in
		// its mounts, so these tell something only inside of one.
		if _, err := fs.Stat(root, ".dockerenv"); file == "proc/self/mountinfo" && err != nil && c.Engine == "" {
			continue
		}
		if found := containerID().FindStringSubmatch(text(root, file)); found != nil && c.ID == "" {
			if strings.Contains(found[0], "kubepods") {
				name("kubernetes")
			}
			c.ID = found[2]
		}
	}
	if _, err := fs.Stat(root, ".dockerenv"); err == nil || c.ID != "" {
		name("docker")
	}
	if c == (Container{}) {
		return nil
	}
	return &c
}

// fileSystemType returns the type of the mount that holds a folder.
func fileSystemType(root fs.FS, dir string) string {
	best, kind := -1, ""
	for line := range strings.Lines(text(root, "proc/self/mountinfo")) {
		// 36 35 98:0 /root /mount options [optional…] - type source superoptions
		before, after, ok := strings.Cut(line, " - ")
		fields, last := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(last) == 0 {
			continue
		}
		mount := unescapeMount(fields[4])
		inside := dir == mount || strings.HasPrefix(dir, strings.TrimSuffix(mount, "/")+"/")
		// A later mount at the same place covers the earlier one.
		if inside && len(mount) >= best {
			best, kind = len(mount), last[0]
		}
	}
	return kind
}

// unescapeMount undoes the octal escapes of white space and backslashes.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace
