package lockfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

const vectors = "../testdata/lockfile"

// The vectors are shared with other implementations; testdata/lockfile/README.md
// says what they hold.
func TestValidVectors(t *testing.T) {
	files := glob(t, "valid/*.lock", 20)
	for _, file := range files {
		if strings.HasSuffix(file, ".canonical.lock") {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".lock"), func(t *testing.T) {
			data := read(t, file)
			stem := strings.TrimSuffix(file, ".lock")
			var want struct {
				Canonical bool
				Lock      any
			}
			decoder := json.NewDecoder(bytes.NewReader(read(t, stem+".json")))
			decoder.UseNumber()
			if err := decoder.Decode(&want); err != nil {
				t.Fatal(err)
			}
			lock, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := neutral(lock); !reflect.DeepEqual(got, want.Lock) {
				t.Errorf("parsed\n%s\nwant\n%s", indent(got), indent(want.Lock))
			}
			canonical := data
			if !want.Canonical {
				canonical = read(t, stem+".canonical.lock")
				if bytes.Equal(canonical, data) {
					t.Error("the canonical form equals the input, which is said not to be canonical")
				}
			}
			if got := lock.Marshal(); !bytes.Equal(got, canonical) {
				t.Errorf("marshalled\n%s\nwant\n%s", got, canonical)
			}
		})
	}
}

// neutral is the shape of the vectors' JSON.
func neutral(l *Lock) any {
	stages := map[string]any{}
	for name, s := range l.Stages {
		stage := map[string]any{
			"result":    s.Result.String(),
			"command":   s.Command,
			"artifacts": neutralMap(s.Artifacts, neutralArtifact),
			"code":      neutralMap(s.Code, neutralInput),
			"history":   neutralMap(s.History, neutralDigest),
			"logged":    neutralMap(s.Logged, neutralValue),
			"inputs":    neutralMap(s.Inputs, neutralInput),
			"metrics":   neutralMap(s.Metrics, neutralValue),
			"params":    neutralMap(s.Params, neutralValue),
			"unknown":   neutralMap(s.Unknown, neutralValue),
		}
		if e := s.Environment; e != nil {
			environment := map[string]any{
				"files":            neutralMap(e.Files, neutralDigest),
				"unknown_of_files": map[string]any{},
				"unknown":          neutralMap(e.Unknown, neutralValue),
			}
			for path, unknown := range e.UnknownOfFiles {
				environment["unknown_of_files"].(map[string]any)[path] = neutralMap(unknown, neutralValue)
			}
			if !e.Packages.IsZero() {
				environment["packages"] = e.Packages.String()
			}
			if e.Platform != "" {
				environment["platform"] = e.Platform
			}
			if e.Runtime != "" {
				environment["runtime"] = e.Runtime
			}
			stage["environment"] = environment
		}
		stages[name] = stage
	}
	return map[string]any{
		"stages":    stages,
		"artifacts": neutralMap(l.Artifacts, neutralArtifact),
		"unknown":   neutralMap(l.Unknown, neutralValue),
	}
}

func neutralMap[E any](m map[string]E, convert func(E) any) any {
	out := map[string]any{}
	for key, e := range m {
		out[key] = convert(e)
	}
	return out
}

func neutralArtifact(a *Artifact) any {
	out := map[string]any{
		"path":       a.Path,
		"hash":       a.Hash.String(),
		"size":       neutralValue(a.Size),
		"executable": a.Executable,
		"unknown":    neutralMap(a.Unknown, neutralValue),
	}
	if a.Folder {
		out["files"] = neutralValue(a.Files)
	}
	return out
}

func neutralInput(i *Input) any {
	out := map[string]any{"hash": i.Hash.String(), "unknown": neutralMap(i.Unknown, neutralValue)}
	if i.Sized {
		out["size"] = neutralValue(i.Size)
	}
	if i.Folder {
		out["files"] = neutralValue(i.Files)
	}
	return out
}

func neutralDigest(d cas.Digest) any { return d.String() }

func neutralValue(v any) any {
	switch v := v.(type) {
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case float64:
		return map[string]any{"float": FormatValue(v)}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = neutralValue(v[i])
		}
		return out
	case map[string]any:
		return map[string]any{"table": neutralMap(v, neutralValue)}
	}
	return v
}

func TestInvalidVectors(t *testing.T) {
	for _, file := range glob(t, "invalid/*.lock", 40) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".lock"), func(t *testing.T) {
			category, text, _ := strings.Cut(string(read(t, strings.TrimSuffix(file, ".lock")+".txt")), "\n")
			text = strings.TrimSuffix(text, "\n")
			lock, err := Parse(read(t, file))
			if err == nil {
				t.Fatal("a lock that must be refused was parsed")
			}
			if lock != nil {
				t.Error("a refused lock was returned beside its error")
			}
			if got := categoryOf(err); got != category {
				t.Errorf("category %q of %q, want %q", got, err, category)
			}
			if text == "" || !strings.Contains(err.Error(), text) {
				t.Errorf("error %q, want it to contain %q", err, text)
			}
		})
	}
}

func categoryOf(err error) string {
	if _, ok := errors.AsType[*ConflictError](err); ok {
		return "conflict"
	}
	if _, ok := errors.AsType[*SplicedError](err); ok {
		return "spliced"
	}
	for category, sentinel := range map[string]error{
		"toml": ErrSyntax, "version": ErrVersion, "value": ErrValue, "limit": ErrLimit,
		"path": cas.ErrPath, "digest": cas.ErrDigest,
	} {
		if errors.Is(err, sentinel) {
			return category
		}
	}
	return "none"
}

func glob(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, pattern))
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d vectors match %s, want at least %d (%v)", len(files), pattern, atLeast, err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func indent(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
}
