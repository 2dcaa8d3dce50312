package environment

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/kept-dev/kept/cas"
)

// Machine is what a host offers to tell two runs apart that should have been
// the same. It goes into the run record only: nothing of it is in the lock.
// Every part is optional, and one that cannot be read is left out.
type Machine struct {
	System     System      `json:"system"`
	CPU        CPU         `json:"cpu"`
	Memory     int64       `json:"memory_bytes,omitempty"`
	Limits     *Limits     `json:"limits,omitempty"`
	Container  *Container  `json:"container,omitempty"`
	Graphics   *Graphics   `json:"graphics,omitempty"`
	Scheduler  *Scheduler  `json:"scheduler,omitempty"`
	Python     *Python     `json:"python,omitempty"`
	FileSystem *FileSystem `json:"file_system,omitempty"`
	Clock      Clock       `json:"clock"`
	// Umask is the octal file mode mask, such as "0022".
	Umask     string    `json:"umask,omitempty"`
	Variables Variables `json:"variables"`
}

// System is the operating system.
type System struct {
	// OS and Arch are GOOS and GOARCH.
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Distribution is a name for people, such as "Debian GNU/Linux 12 (bookworm)".
	Distribution string `json:"distribution,omitempty"`
	Kernel       string `json:"kernel,omitempty"`
	// Libc is the C library, such as "glibc 2.36" or "musl".
	Libc string `json:"libc,omitempty"`
	Host string `json:"host,omitempty"`
}

// CPU is the processor. Model and flags decide which kernels numerical
// libraries choose at run time.
type CPU struct {
	Model string `json:"model,omitempty"`
	// Flags are the vector and matrix instruction sets, sorted.
	Flags []string `json:"flags,omitempty"`
	// Usable is the number of logical processors that this process may run on.
	Usable int `json:"usable"`
	// Logical and Physical count the machine's processors and cores.
	Logical  int `json:"logical,omitempty"`
	Physical int `json:"physical,omitempty"`
	// Nodes is the number of NUMA nodes.
	Nodes int `json:"numa_nodes,omitempty"`
}

// Limits are what the control group grants; 0 is no limit.
type Limits struct {
	// CPUs is the share of processor time, in processors (1.5).
	CPUs   float64 `json:"cpus,omitempty"`
	Memory int64   `json:"memory_bytes,omitempty"`
}

// Container is the container around the process.
type Container struct {
	// Engine is docker, podman, kubernetes, apptainer, lxc or what the container calls itself.
	Engine string `json:"engine,omitempty"`
	// ID is the container's own, 64 hex digits.
	ID string `json:"id,omitempty"`
	// Image and ImageID are what the container knows of its image. Docker tells
	// its containers neither.
	Image   string `json:"image,omitempty"`
	ImageID string `json:"image_id,omitempty"`
}

// Graphics are the graphics processors and what drives them.
type Graphics struct {
	Driver string `json:"driver,omitempty"`
	// CUDA is the newest CUDA version that the driver serves.
	CUDA    string `json:"cuda,omitempty"`
	Devices []GPU  `json:"devices"`
}

// GPU is one graphics processor.
type GPU struct {
	Index int    `json:"index"`
	Model string `json:"model"`
	UUID  string `json:"uuid,omitempty"`
	// Memory is in bytes.
	Memory int64 `json:"memory_bytes,omitempty"`
	// Capability is the CUDA compute capability, such as "9.0".
	Capability string `json:"capability,omitempty"`
	// MIG tells whether the device is partitioned: "Enabled" or "Disabled".
	MIG string `json:"mig,omitempty"`
	// ECC is the mode of the memory's error correction.
	ECC string `json:"ecc,omitempty"`
}

// Scheduler is the batch system that placed the process.
type Scheduler struct {
	// Kind is slurm, pbs, lsf, sge, kubernetes, mpi or torch.
	Kind string `json:"kind"`
	Job  string `json:"job,omitempty"`
	// Rank and Size are the place of the process among those of the job, as written.
	Rank string `json:"rank,omitempty"`
	Size string `json:"size,omitempty"`
}

// Python is the interpreter, without its packages: those are an object.
type Python struct {
	Runtime
	// Hash is the digest of the interpreter's binary.
	Hash cas.Digest `json:"hash,omitzero"`
	// Target is the binary where Executable is a link, as in virtual environments.
	Target string `json:"target,omitempty"`
}

// FileSystem is the one that holds the experiment's folder.
type FileSystem struct {
	// Type is the system's name for it: ext4, xfs, apfs, nfs4, overlay.
	Type string `json:"type,omitempty"`
	// CaseSensitive tells whether a.txt and A.txt are two files; nil where the folder does not show it.
	CaseSensitive *bool `json:"case_sensitive,omitempty"`
}

// Clock is the host's clock at the time of the capture.
type Clock struct {
	Time time.Time `json:"time"`
	Zone string    `json:"zone,omitempty"`
	// Synchronized tells whether the kernel holds its clock to be kept in step; nil where it does not tell.
	Synchronized *bool `json:"synchronized,omitempty"`
}

// Place is where a command runs.
type Place struct {
	// Dir is the experiment's folder.
	Dir string
	// Env is the environment of the command.
	Env []string
	// Runtime is the command's interpreter, nil where it has none.
	Runtime *Runtime
}

// gpuTime bounds the questions about graphics processors: a driver in trouble does not answer.
const gpuTime = 5 * time.Second

// Capture looks at the machine. It takes milliseconds, except that nvidia-smi
// and rocm-smi, where they are installed, may take up to five seconds. It never
// fails: what one source does not tell is missing in the result.
func Capture(ctx context.Context, place Place) *Machine {
	m := &Machine{
		System: System{OS: runtime.GOOS, Arch: runtime.GOARCH},
		CPU:    CPU{Usable: runtime.NumCPU()},
	}
	var graphics sync.WaitGroup
	graphics.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, gpuTime)
		defer cancel()
		m.Graphics = captureGraphics(ctx, place)
	})
	m.System.Host, _ = os.Hostname()
	m.Clock = captureClock()
	m.Variables = recordVariables(place.Env)
	m.Scheduler = schedulerOf(place.Env)
	m.Container = containerOf(place.Env)
	m.captureSystem(place)
	m.SetRuntime(place.Runtime)
	m.addCaseSensitivity(place.Dir)
	graphics.Wait()
	return m
}

// SetRuntime adds the interpreter of a command, for where it can be asked only
// after the command has run. A nil runtime adds nothing.
func (m *Machine) SetRuntime(r *Runtime) {
	if r == nil {
		return
	}
	m.Python = capturePython(r)
	if r.Libc != "" {
		m.System.Libc = r.Libc
	}
}

func captureClock() Clock {
	now := time.Now()
	zone, _ := now.Zone()
	return Clock{Time: now.Round(time.Millisecond), Zone: zone, Synchronized: clockSynchronized()}
}

func capturePython(r *Runtime) *Python {
	p := &Python{Runtime: *r}
	p.Packages = nil
	target, err := filepath.EvalSymlinks(r.Executable)
	if err != nil {
		return p
	}
	if target != r.Executable {
		p.Target = target
	}
	f, err := os.Open(target)
	if err != nil {
		return p
	}
	defer f.Close()
	if hash, _, err := cas.SumReader(f); err == nil {
		p.Hash = hash
	}
	return p
}

// schedulers says by which variables a batch system shows itself, the more
// specific ones first: a Slurm job may start torchrun, which sets RANK.
var schedulers = []struct {
	kind            string
	job, rank, size string
}{
	{"slurm", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS"},
	{"pbs", "PBS_JOBID", "PBS_TASKNUM", "PBS_NP"},
	{"lsf", "LSB_JOBID", "LSB_JOBINDEX", "LSB_DJOB_NUMPROC"},
	{"sge", "SGE_TASK_ID", "SGE_TASK_ID", "NSLOTS"},
	{"kubernetes", "KUBERNETES_SERVICE_HOST", "RANK", "WORLD_SIZE"},
	{"mpi", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
	{"torch", "WORLD_SIZE", "RANK", "WORLD_SIZE"},
}

func schedulerOf(env []string) *Scheduler {
	for _, s := range schedulers {
		shown := variable(env, s.job)
		if shown == "" {
			continue
		}
		found := &Scheduler{Kind: s.kind, Rank: variable(env, s.rank), Size: variable(env, s.size)}
		switch s.kind {
		case "kubernetes":
			found.Job = variable(env, "HOSTNAME") // the pod's name
		case "mpi", "torch": // no job behind them
		default:
			found.Job = shown
		}
		return found
	}
	return nil
}

// containerOf finds the containers that tell of themselves in the environment.
func containerOf(env []string) *Container {
	for _, name := range []string{"APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"} {
		if image := variable(env, name); image != "" {
			return &Container{Engine: "apptainer", Image: image}
		}
	}
	engine := variable(env, "container") // systemd's convention, followed by podman and lxc
	if variable(env, "KUBERNETES_SERVICE_HOST") != "" {
		engine = "kubernetes"
	}
	if engine == "" {
		return nil
	}
	return &Container{Engine: engine}
}

// addCaseSensitivity asks for a file of the folder under a name in the other
// case, which needs no write: the folder holds at least a kept.toml.
func (m *Machine) addCaseSensitivity(dir string) {
	folder, err := os.Open(dir)
	if err != nil {
		return
	}
	defer folder.Close()
	names, err := folder.Readdirnames(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return
	}
	for _, name := range names {
		other := swapCase(name)
		if other == name {
			continue
		}
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		twin, err := os.Lstat(filepath.Join(dir, other))
		if err != nil && !os.IsNotExist(err) {
			continue
		}
		if m.FileSystem == nil {
			m.FileSystem = &FileSystem{}
		}
		m.FileSystem.CaseSensitive = new(err != nil || !os.SameFile(info, twin))
		return
	}
}

// swapCase changes the case of the ASCII letters, about which file systems agree.
func swapCase(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r > unicode.MaxASCII:
			return r
		case unicode.IsUpper(r):
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, name)
}
