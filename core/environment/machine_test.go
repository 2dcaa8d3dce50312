package environment

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kept-dev/kept/cas"
)

func tree(files map[string]string) fstest.MapFS {
	root := make(fstest.MapFS)
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestReadProc(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	root := tree(map[string]string{
		"etc/os-release":                     "NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"usr/lib/x86_64-linux-gnu/libc.so.6": "\x7fELF\x00GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\n\x00",
		"proc/meminfo":                       "MemTotal:       65780000 kB\nMemFree: 1 kB\n",
		"proc/self/status":                   "Name:\tkept\nUmask:\t0027\n",
		"proc/cpuinfo":                       "processor\t: 0\nmodel name\t: AMD EPYC 7763\nflags\t\t: fpu sse4_2 smep avx2 avx512f lm amx_tile\n\nprocessor\t: 1\nmodel name\t: other\n",
		"proc/self/cgroup":                   "0::/system.slice/docker-" + id + ".scope\n",
		"sys/fs/cgroup/cpu.max":              "max 100000\n",
		"sys/fs/cgroup/memory.max":           "max\n",
		"sys/fs/cgroup/system.slice/cpu.max": "400000 100000\n",
		"proc/self/mountinfo":                "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /home rw shared:1 - xfs /dev/sdb rw\n3 2 8:3 / /home/a\\040b rw - nfs4 srv:/x rw\n",
		"sys/devices/system/node/node0/cpu":  "",
		"sys/devices/system/node/node1/cpu":  "",
		"sys/devices/system/cpu/cpufreq/x":   "",
		"sys/devices/system/cpu/cpu0/topology/thread_siblings_list":     "0-1",
		"sys/devices/system/cpu/cpu1/topology/thread_siblings_list":     "0-1",
		"sys/devices/system/cpu/cpu10/topology/thread_siblings_list":    "10",
		"sys/fs/cgroup/system.slice/docker-" + id + ".scope/cpu.max":    "150000 100000\n",
		"sys/fs/cgroup/system.slice/docker-" + id + ".scope/memory.max": "8589934592\n",
	})
	m := &Machine{}
	m.readProc(root, "/home/a b/project")
	want := &Machine{
		System:     System{Distribution: "Debian GNU/Linux 12 (bookworm)", Libc: "glibc 2.36"},
		CPU:        CPU{Model: "AMD EPYC 7763", Flags: []string{"amx_tile", "avx2", "avx512f", "sse4_2"}, Logical: 3, Physical: 2, Nodes: 2},
		Memory:     65780000 << 10,
		Limits:     &Limits{CPUs: 1.5, Memory: 8 << 30},
		Container:  &Container{Engine: "docker", ID: id},
		FileSystem: &FileSystem{Type: "nfs4"},
		Umask:      "0027",
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %s\nwant %s", show(t, m), show(t, want))
	}

	empty := &Machine{}
	empty.readProc(tree(nil), "/home")
	if !reflect.DeepEqual(empty, &Machine{}) {
		t.Errorf("of a system that tells nothing: %s", show(t, empty))
	}
}

func TestReadProcOfOtherSystems(t *testing.T) {
	arm := &CPU{}
	arm.read(tree(map[string]string{"proc/cpuinfo": "processor : 0\nFeatures : fp asimd sve2 crc32\nCPU implementer : 0x41\nCPU part : 0xd40\n\n"}))
	if arm.Model != "0x41 0xd40" || !slices.Equal(arm.Flags, []string{"asimd", "sve2"}) {
		t.Errorf("ARM: %+v", arm)
	}
	if got := libc(tree(map[string]string{"lib/ld-musl-x86_64.so.1": ""})); got != "musl" {
		t.Errorf("musl: %q", got)
	}
	old := limits(tree(map[string]string{
		"proc/self/cgroup": "5:cpu,cpuacct:/user\n4:memory:/user\n1:name=systemd:/x\n",
		"sys/fs/cgroup/memory/user/memory.limit_in_bytes": "1073741824\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes":      "9223372036854771712\n",
		"sys/fs/cgroup/cpu/user/cpu.cfs_quota_us":         "50000\n",
		"sys/fs/cgroup/cpu/user/cpu.cfs_period_us":        "100000\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":              "-1\n",
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":             "100000\n",
	}))
	if old == nil || *old != (Limits{CPUs: 0.5, Memory: 1 << 30}) {
		t.Errorf("control groups of the first version: %+v", old)
	}
}

func TestContainer(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, tc := range []struct {
		name  string
		files map[string]string
		env   []string
		want  *Container
	}{
		{"none", map[string]string{"proc/self/cgroup": "0::/user.slice\n"}, nil, nil},
		{"a host of containers", map[string]string{"proc/self/mountinfo": "/var/lib/docker/containers/" + id + "/x"}, nil, nil},
		{
			"docker with a namespace of control groups",
			map[string]string{".dockerenv": "", "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "1 1 0:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 x rw\n"},
			nil,
			&Container{Engine: "docker", ID: id},
		},
		{
			"kubernetes",
			map[string]string{"proc/self/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n"},
			[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1"},
			&Container{Engine: "kubernetes", ID: id},
		},
		{
			"podman",
			map[string]string{"run/.containerenv": "engine=\"podman-4.3.1\"\nname=\"x\"\nid=\"" + id + "\"\nimage=\"docker.io/library/python:3.11\"\nimageid=\"abc\"\n"},
			[]string{"container=podman"},
			&Container{Engine: "podman", ID: id, Image: "docker.io/library/python:3.11", ImageID: "abc"},
		},
		{"apptainer", nil, []string{"APPTAINER_CONTAINER=/images/torch.sif"}, &Container{Engine: "apptainer", Image: "/images/torch.sif"}},
	} {
		if got := container(tree(tc.files), containerOf(tc.env)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestSchedulerOf(t *testing.T) {
	for _, tc := range []struct {
		env  string
		want *Scheduler
	}{
		{"HOME=/root", nil},
		{"SLURM_JOB_ID=42 SLURM_PROCID=3 SLURM_NTASKS=8 RANK=0 WORLD_SIZE=1", &Scheduler{"slurm", "42", "3", "8"}},
		{"PBS_JOBID=7.srv", &Scheduler{Kind: "pbs", Job: "7.srv"}},
		{"LSB_JOBID=5", &Scheduler{Kind: "lsf", Job: "5"}},
		{"KUBERNETES_SERVICE_HOST=10.0.0.1 HOSTNAME=train-0 RANK=0 WORLD_SIZE=4", &Scheduler{"kubernetes", "train-0", "0", "4"}},
		{"OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=1", &Scheduler{Kind: "mpi", Rank: "1", Size: "4"}},
		{"RANK=1 WORLD_SIZE=2", &Scheduler{Kind: "torch", Rank: "1", Size: "2"}},
	} {
		if got := schedulerOf(strings.Fields(tc.env)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.env, got, tc.want)
		}
	}
}

func TestVariablesAreRecordedWithoutSecrets(t *testing.T) {
	plain := map[string]string{
		"OMP_NUM_THREADS": "8", "PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "LC_ALL": "C.UTF-8", "TZ": "",
		"XLA_FLAGS":               "--xla_gpu_deterministic_ops=true --xla_force_host_platform_device_count=8",
		"CUDA_VISIBLE_DEVICES":    "GPU-5ba7c0de-1f2e-3d4c-5b6a-798897a6b5c4",
		"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True,max_split_size_mb:128",
		"HF_HOME":                 "/data/hugging_face_cache", "SLURM_JOB_NODELIST": "gpu[001-004]", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
		"TOKENIZERS_PARALLELISM": "false", "HF_ENDPOINT": "https://hub.example.com/x", "VIRTUAL_ENV": "/home/me/proj/.venv",
		"TORCH_HOME": "/home/sk-learn/torch",
	}
	hidden := map[string]string{
		"HF_TOKEN":              "x",
		"HUGGINGFACE_API_KEY":   "short",
		"SLURM_JWT":             "x",
		"TF_GPU_PASSWORD":       "hunter2",
		"HF_ENDPOINT_2":         "https://user:pass@hub.example.com",
		"HF_PROXY":              "https://token@hub.example.com",
		"HF_A":                  "hf_abcdefghijklmnopqrstuvwxyz",
		"HF_B":                  "ghp_0123456789abcdefABCDEF0123456789abcd",
		"HF_C":                  "AKIAIOSFODNN7EXAMPLE",
		"HF_D":                  "Authorization: Bearer abcdefgh12",
		"HF_E":                  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.abc",
		"HF_F":                  "https://bucket/x?signature=abc",
		"HF_G":                  "d41d8cd98f00b204e9800998ecf8427e",
		"HF_H":                  "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
		"HF_I":                  "-----BEGIN PRIVATE KEY-----",
		"PYTHON_KEYRING_SECRET": "x",
	}
	env := []string{"EDITOR=vi", "AWS_SECRET_ACCESS_KEY=abc", "MY_PROJECT_DB=postgres://x", "TF_VAR_x=y", "KEPT_RUN=1", "broken"}
	for name, value := range plain {
		env = append(env, name+"="+value)
	}
	for name, value := range hidden {
		env = append(env, name+"="+value)
	}
	v := recordVariables(env)
	for name, want := range plain {
		if got, ok := v.Values[name]; !ok || got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for name := range hidden {
		if got := v.Values[name]; got != hiddenValue {
			t.Errorf("%s = %q, want it hidden", name, got)
		}
	}
	if len(v.Values) != len(plain)+len(hidden) {
		t.Errorf("%d values, want %d", len(v.Values), len(plain)+len(hidden))
	}
	var others []string
	for _, name := range []string{"EDITOR", "AWS_SECRET_ACCESS_KEY", "MY_PROJECT_DB", "TF_VAR_x"} {
		others = append(others, cas.Sum([]byte(name)).Hex()[:8])
	}
	slices.Sort(others)
	if !slices.Equal(v.Others, others) {
		t.Errorf("Others = %q, want %q", v.Others, others)
	}
	long := recordVariables([]string{"PYTHONPATH=" + strings.Repeat("/ä", maxVariable)})
	if got := long.Values["PYTHONPATH"]; len(got) > maxVariable+8 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long value is recorded in %d bytes", len(got))
	}
}

func TestParseNVIDIA(t *testing.T) {
	got := parseNVIDIA([]byte("0, NVIDIA H100 80GB HBM3, GPU-1, 550.54.15, 81559, Enabled, Enabled, 9.0\n1, Quadro, GPU-2, 550.54.15, 8192, [N/A], [Not Supported], 7.5\n"))
	want := &Graphics{Driver: "550.54.15", Devices: []GPU{
		{Index: 0, Model: "NVIDIA H100 80GB HBM3", UUID: "GPU-1", Memory: 81559 << 20, Capability: "9.0", MIG: "Enabled", ECC: "Enabled"},
		{Index: 1, Model: "Quadro", UUID: "GPU-2", Memory: 8192 << 20, Capability: "7.5"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "a, b, c, d, e\n", "\"\n"} {
		if got := parseNVIDIA([]byte(text)); got != nil {
			t.Errorf("%q: %+v, want nothing", text, got)
		}
	}
}

func TestParseROCm(t *testing.T) {
	got := parseROCm([]byte(`{"card1": {"Card Series": "MI300X", "Unique ID": "0x2", "VRAM Total Memory (B)": "1024"},
		"card0": {"Card series": "MI250X", "Unique ID": "0x1", "VRAM Total Memory (B)": "2048"}, "system": {"Driver version": "6.7.0"}}`))
	want := &Graphics{Driver: "6.7.0", Devices: []GPU{{Index: 0, Model: "MI250X", UUID: "0x1", Memory: 2048}, {Index: 1, Model: "MI300X", UUID: "0x2", Memory: 1024}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", "{}", "[]", `{"system": {}}`} {
		if got := parseROCm([]byte(text)); got != nil {
			t.Errorf("%q: %+v, want nothing", text, got)
		}
	}
}

// A stand-in for nvidia-smi answers as an old driver does: not to a query for
// columns that it does not know.
func TestGraphicsOfAnOldDriver(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the tool of this test is a shell script")
	}
	dir := t.TempDir()
	file(t, dir, "bin/nvidia-smi", `#!/bin/sh
case "$1" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;;
--query-gpu=*) echo '0, Tesla K80, GPU-9, 470.1, 11441' ;;
*) echo '| NVIDIA-SMI 470.1    Driver Version: 470.1    CUDA Version: 11.4     |' ;;
esac
`, 0o755)
	place := Place{Dir: dir, Env: []string{"PATH=" + filepath.Join(dir, "bin")}}
	got := captureGraphics(t.Context(), place)
	want := &Graphics{Driver: "470.1", CUDA: "11.4", Devices: []GPU{{Model: "Tesla K80", UUID: "GPU-9", Memory: 11441 << 20}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A driver that hangs costs the time limit and nothing else.
func TestCaptureDoesNotWaitForGraphics(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the tool of this test is a shell script")
	}
	dir := t.TempDir()
	file(t, dir, "bin/nvidia-smi", "#!/bin/sh\nsleep 100 &\nwait\n", 0o755)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	m := Capture(ctx, Place{Dir: dir, Env: []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin"}})
	if m.Graphics != nil || m.System.OS != runtime.GOOS {
		t.Errorf("got %s", show(t, m))
	}
	if waited := time.Since(begin); waited > 20*time.Second {
		t.Errorf("waited %v for a tool that hangs", waited)
	}
}

func TestCapture(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "kept.toml", "", 0o644)
	binary := file(t, dir, "python3.11", "the interpreter", 0o755)
	r := &Runtime{Name: "python", Version: "3.11.7", Executable: binary, Libc: "glibc 9.99", Packages: []Package{{"numpy", "2"}}}
	m := Capture(t.Context(), Place{Dir: dir, Env: []string{"TZ=UTC", "SLURM_JOB_ID=1"}, Runtime: r})

	if m.System.OS != runtime.GOOS || m.System.Arch != runtime.GOARCH || m.CPU.Usable != runtime.NumCPU() {
		t.Errorf("system %+v, cpu %+v", m.System, m.CPU)
	}
	if host, _ := os.Hostname(); m.System.Host != host {
		t.Errorf("host %q, want %q", m.System.Host, host)
	}
	if m.System.Libc != "glibc 9.99" {
		t.Errorf("libc %q, want the interpreter's", m.System.Libc)
	}
	if m.Python == nil || m.Python.Hash != cas.Sum([]byte("the interpreter")) || m.Python.Packages != nil {
		t.Errorf("python %+v", m.Python)
	}
	if len(r.Packages) != 1 {
		t.Error("Capture changed the runtime of the caller")
	}
	if m.FileSystem == nil || m.FileSystem.CaseSensitive == nil {
		t.Error("case sensitivity is not known")
	} else if runtime.GOOS == "linux" && !*m.FileSystem.CaseSensitive {
		t.Error("a file system of Linux is not case sensitive")
	}
	if age := time.Since(m.Clock.Time); age < -time.Minute || age > time.Minute {
		t.Errorf("clock %v", m.Clock.Time)
	}
	if m.Variables.Values["TZ"] != "UTC" || m.Scheduler == nil {
		t.Errorf("variables %v, scheduler %v", m.Variables, m.Scheduler)
	}
	if runtime.GOOS == "linux" && (m.System.Kernel == "" || m.Memory == 0 || m.CPU.Logical == 0 || m.FileSystem.Type == "" || m.Umask == "") {
		t.Errorf("something is missing in %s", show(t, m))
	}
	var again Machine
	if err := json.Unmarshal([]byte(show(t, m)), &again); err != nil {
		t.Errorf("the record cannot be read again: %v", err)
	} else if show(t, &again) != show(t, m) {
		t.Errorf("read again: %s\nwant %s", show(t, &again), show(t, m))
	}
}

func TestSwapCase(t *testing.T) {
	if got := swapCase("Kept.toml-Ä1"); got != "kEPT.TOML-Ä1" {
		t.Errorf("swapCase = %q", got)
	}
}

func show(t *testing.T, m *Machine) string {
	t.Helper()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func BenchmarkCapture(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		Capture(b.Context(), Place{Dir: dir, Env: os.Environ()})
	}
}
