package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/tomlscan"
	"github.com/kept-dev/kept/lockfile"
)

// Equal reports whether two acceptances say the same, wherever they stand.
func (a Acceptance) Equal(b Acceptance) bool {
	return a.Metric == b.Metric && a.Result == b.Result && a.Reason == b.Reason
}

// SetAcceptance returns the text of a kept.toml with an acceptance: in the place
// of an older one of the same metric, else as a table at the end. All other
// bytes stay. data must be readable; the caller reads the result again.
func SetAcceptance(data []byte, a Acceptance) ([]byte, error) {
	switch {
	case strings.TrimSpace(a.Reason) == "":
		return nil, errors.New("a reason is needed")
	case !utf8.ValidString(a.Reason) || !utf8.ValidString(a.Metric):
		return nil, errors.New("text is not UTF-8")
	case a.Result.IsZero():
		return nil, errors.New("there is no result to name")
	}
	entries, err := tomlscan.Scan(data)
	if err != nil {
		return nil, err
	}
	values := map[string]string{"result": lockfile.FormatValue(a.Result.String()), "reason": lockfile.FormatValue(a.Reason)}
	replaced := 0
	// From the end, so that the places before stay where they are.
	closed := false
	for _, e := range slices.Backward(entries) {
		closed = closed || !e.Header && len(e.Key) == 1 && e.Key[0] == "accept"
		if len(e.Key) != 3 || e.Key[0] != "accept" || e.Key[1] != a.Metric || values[e.Key[2]] == "" {
			continue
		}
		data = slices.Concat(data[:e.Start], []byte(values[e.Key[2]]), data[e.End:])
		replaced++
	}
	switch replaced {
	case 2:
		return data, nil
	case 1:
		return nil, errors.New("the acceptance that is there is incomplete")
	}
	if closed {
		// The parser would read it and other programs would not: TOML forbids it.
		return nil, errors.New("accept is an inline table, to which nothing can be added: add it by hand")
	}
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
	}
	before := ""
	if len(bytes.TrimSpace(data)) > 0 {
		before = end
		if !bytes.HasSuffix(data, []byte("\n")) {
			before += end
		}
	}
	text := fmt.Sprintf("[accept.%s]\nresult = %s\nreason = %s\n", lockfile.FormatValue(a.Metric), values["result"], values["reason"])
	return slices.Concat(data, []byte(before+strings.ReplaceAll(text, "\n", end))), nil
}
