package environment

import (
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/internal/lazy"
)

// recordedVariables are the patterns (path.Match) of the environment variables
// whose values are recorded: those that are known to change what a program
// computes, where it finds libraries and models, or how a job was placed.
var recordedVariables = []string{
	// Threads: the order of a parallel sum decides its last bits.
	"OMP_*", "MKL_*", "OPENBLAS_*", "GOTO_NUM_THREADS", "BLIS_*", "NUMEXPR_*", "VECLIB_*", "KMP_*", "GOMP_*", "TBB_*", "NUMBA_*",
	"RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT", "JOBLIB_*", "ARROW_*",
	// Kernels and determinism.
	"CUDA_*", "CUBLAS_*", "CUDNN_*", "NVIDIA_*", "NCCL_*", "ROCM_*", "HIP_*", "HSA_*", "MIOPEN_*", "ROCR_*",
	// Not all of TF_*, which Terraform uses as well, also for secrets.
	"TF_DETERMINISTIC_OPS", "TF_CUDNN_*", "TF_XLA_*", "TF_ENABLE_*", "TF_DISABLE_*", "TF_CPP_*", "TF_GPU_*", "TF_FORCE_*", "TF_NUM_*",
	"TF_USE_*", "XLA_*", "JAX_*", "TORCH_*", "TORCHINDUCTOR_*", "TORCHDYNAMO_*", "PYTORCH_*", "TRITON_*", "KERAS_*", "ACCELERATE_*", "DNNL_*",
	"ONEDNN_*", "GLIBC_TUNABLES", "MALLOC_*", "FLASH_ATTENTION_*", "LIGHTNING_*", "PL_GLOBAL_SEED",
	// The interpreter and the libraries it loads.
	"PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "PYENV_VERSION",
	"LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_*", "SOURCE_DATE_EPOCH",
	// Hubs and their caches: models and data that no lock names.
	"HF_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "DATASETS_*", "DIFFUSERS_*", "TOKENIZERS_PARALLELISM", "NLTK_DATA", "XDG_CACHE_HOME",
	// Schedulers.
	"SLURM_*", "PBS_*", "LSB_*", "SGE_*", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK",
	"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_*", "OMPI_COMM_WORLD_*", "PMI_RANK", "PMI_SIZE", "KUBERNETES_SERVICE_HOST",
	"APPTAINER_*", "SINGULARITY_*", "container",
	// Locale and time.
	"LANG", "LANGUAGE", "LC_*", "TZ",
}

// hiddenValue stands for a value that may be a secret.
const hiddenValue = "[hidden]"

// maxVariable bounds one recorded value in bytes.
const maxVariable = 4 << 10

// Variables are the environment variables of a command.
type Variables struct {
	// Values holds the variables that are known to matter. A value that looks
	// like a secret is "[hidden]".
	Values map[string]string `json:"values,omitempty"`
	// Others holds, sorted, the first 8 hex digits of the BLAKE3 of the name of
	// every other variable: enough to see that two runs had different ones and
	// to ask for a certain name, and no list of what a machine is set up with.
	Others []string `json:"others,omitempty"`
}

// recordVariables sorts the variables of a command into those whose values are
// recorded and the rest. kept's own are left out.
func recordVariables(env []string) Variables {
	v := Variables{Values: make(map[string]string)}
	for _, setting := range env {
		name, value, found := strings.Cut(setting, "=")
		if !found || name == "" || strings.HasPrefix(name, "KEPT_") {
			continue
		}
		if !recorded(name) {
			v.Others = append(v.Others, cas.Sum([]byte(name)).Hex()[:8])
			continue
		}
		if secret(name, value) {
			value = hiddenValue
		}
		if len(value) > maxVariable {
			value = value[:maxVariable] + "…"
		}
		v.Values[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	slices.Sort(v.Others)
	v.Others = slices.Compact(v.Others)
	return v
}

func recorded(name string) bool {
	return slices.ContainsFunc(recordedVariables, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

var (
	// secretName matches names that hold secrets whatever the value looks like.
	secretName = lazy.Regexp(`(?i)TOKEN($|_)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH($|_)|COOKIE|JWT|_KEY$|_PAT$`)
	// secretValue matches the known forms of secrets: a URL with a user in it,
	// tokens by their prefixes, a private key, a bearer, parameters of that name.
	secretValue = lazy.Regexp(`://[^/\s]*@` +
		`|\b(ghp|gho|ghu|ghs|ghr|github_pat|glpat|hf|hf_oauth|sk|pk|rk|xox[abeoprs]|npm|pypi|dop_v1|shpat|ya29)[-_.][A-Za-z0-9_-]{16,}` +
		`|\b(AKIA|ASIA|AIza)[A-Za-z0-9]{12}` +
		`|\beyJ[A-Za-z0-9_-]{8}` +
		`|-----BEGIN ` +
		`|(?i)\b(bearer|basic) +[a-z0-9+/=._-]{8}` +
		`|(?i)(token|secret|passw(or)?d|api_?key|sig(nature)?|credential)s?["']?\s*[=:]`)
	// run matches what could be the body of a token of an unknown kind.
	run = lazy.Regexp(`[A-Za-z0-9_+]{24,}`)
)

// secret reports whether a variable may hold a secret. It errs on the side of
// hiding: a hidden value costs one detail of a run, a written one is copied on
// with every record.
func secret(name, value string) bool {
	if secretName().MatchString(name) && !harmless(value) || secretValue().MatchString(value) {
		return true
	}
	return slices.ContainsFunc(run().FindAllString(value, -1), random)
}

// harmless tells values that are no secret under any name, such as the 1 of
// HF_HUB_DISABLE_IMPLICIT_TOKEN.
func harmless(value string) bool {
	switch strings.ToLower(value) {
	case "", "0", "1", "true", "false", "yes", "no", "on", "off":
		return true
	}
	return false
}

// random reports whether a long word mixes characters as keys do and words do
// not: upper and lower case and digits, or 32 and more hex digits.
func random(word string) bool {
	upper := strings.ContainsAny(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	lower := strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz")
	digit := strings.ContainsAny(word, "0123456789")
	hex := len(word) >= 32 && strings.Trim(word, "0123456789abcdefABCDEF") == ""
	return digit && (upper && lower || hex)
}
