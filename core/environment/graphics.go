package environment

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kept-dev/kept/internal/lazy"
)

// captureGraphics asks the vendors' tools on the command's PATH; nil where there are none.
func captureGraphics(ctx context.Context, place Place) *Graphics {
	if smi := lookPath("nvidia-smi", place.Dir, place.Env); smi != "" {
		return nvidiaGraphics(ctx, smi)
	}
	if smi := lookPath("rocm-smi", place.Dir, place.Env); smi != "" {
		arguments := []string{"--showproductname", "--showuniqueid", "--showdriverversion", "--showmeminfo", "vram", "--json"}
		return parseROCm(output(ctx, smi, arguments...))
	}
	return nil
}

// nvidiaFields are columns of `nvidia-smi --query-gpu`. A driver that does not
// know one of them answers nothing, so the newer ones can be left out.
var nvidiaFields = []string{"index", "name", "uuid", "driver_version", "memory.total", "mig.mode.current", "ecc.mode.current", "compute_cap"}

var cudaVersion = lazy.Regexp(`CUDA Version\s*: ([0-9.]+)`)

func nvidiaGraphics(ctx context.Context, smi string) *Graphics {
	query := func(fields []string) []byte {
		return output(ctx, smi, "--query-gpu="+strings.Join(fields, ","), "--format=csv,noheader,nounits")
	}
	// The version of CUDA is no column of the query, only part of the table for people.
	var cuda string
	var table sync.WaitGroup
	table.Go(func() {
		if found := cudaVersion().FindSubmatch(output(ctx, smi)); found != nil {
			cuda = string(found[1])
		}
	})
	g := parseNVIDIA(query(nvidiaFields))
	if g == nil {
		g = parseNVIDIA(query(nvidiaFields[:5]))
	}
	table.Wait()
	if g != nil {
		g.CUDA = cuda
	}
	return g
}

func parseNVIDIA(table []byte) *Graphics {
	reader := csv.NewReader(strings.NewReader(string(table)))
	reader.TrimLeadingSpace = true
	reader.FieldsPerRecord = -1
	rows, err := reader.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil
	}
	g := &Graphics{}
	for _, row := range rows {
		if len(row) < 5 {
			return nil // a sentence about what is wrong
		}
		index, err := strconv.Atoi(row[0])
		if err != nil {
			return nil
		}
		row = append(row, "", "", "")
		mebibytes, _ := strconv.ParseInt(row[4], 10, 64)
		g.Driver = row[3]
		g.Devices = append(g.Devices, GPU{
			Index: index, Model: row[1], UUID: row[2], Memory: mebibytes << 20,
			MIG: available(row[5]), ECC: available(row[6]), Capability: available(row[7]),
		})
	}
	return g
}

// available drops what nvidia-smi writes for a property that a device does not have.
func available(value string) string {
	if strings.HasPrefix(value, "[") || value == "N/A" {
		return ""
	}
	return value
}

// parseROCm reads the answer of rocm-smi, an object of one object per card.
// The spelling of its keys differs between versions.
func parseROCm(answer []byte) *Graphics {
	var cards map[string]map[string]string
	if json.Unmarshal(answer, &cards) != nil {
		return nil
	}
	g := &Graphics{}
	for _, name := range slices.Sorted(maps.Keys(cards)) {
		fields := make(map[string]string, len(cards[name]))
		for key, value := range cards[name] {
			fields[strings.ToLower(key)] = value
		}
		if driver := fields["driver version"]; driver != "" {
			g.Driver = driver
		}
		number, isCard := strings.CutPrefix(name, "card")
		index, err := strconv.Atoi(number)
		if !isCard || err != nil {
			continue
		}
		model := fields["card series"]
		if model == "" {
			model = fields["card model"]
		}
		bytes, _ := strconv.ParseInt(fields["vram total memory (b)"], 10, 64)
		g.Devices = append(g.Devices, GPU{Index: index, Model: model, UUID: fields["unique id"], Memory: bytes})
	}
	if len(g.Devices) == 0 {
		return nil
	}
	slices.SortFunc(g.Devices, func(a, b GPU) int { return a.Index - b.Index })
	return g
}

// output returns what a program prints, nil where it fails.
func output(ctx context.Context, program string, arguments ...string) []byte {
	stdout := &limitedBuffer{limit: 1 << 20}
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Stdout = stdout
	endWithChildren(cmd)
	if cmd.Run() != nil {
		return nil
	}
	return stdout.Bytes()
}
