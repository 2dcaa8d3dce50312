package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// attributesLine is what .gitattributes says about locks. Where the driver is
// not configured, as on a hosting service, Git merges them as text, for which
// the format is made.
const attributesLine = "kept.lock text eol=lf merge=kept diff=kept"

// driverHead starts the merge driver's command line and tells it from another's.
const driverHead = ": kept driver 1; "

// driverCommand returns the value of merge.kept.driver. Git replaces %O, %A, %B
// by temporary files for base, ours and theirs, %L by the length of conflict
// markers, and %P by the path in quotes.
//
// A driver that cannot be started, or that ends in another way than with 0 or 1,
// leaves "ours" in the worktree without any marker, and "git add" then drops
// theirs in silence. So whatever goes wrong ends in Git's own merge.
func driverCommand(quoted string) string {
	quoted = strings.ReplaceAll(quoted, "%", "%%")
	return driverHead + "kept=" + quoted + "; [ -x \"$kept\" ] || kept=kept; " +
		"if command -v \"$kept\" >/dev/null 2>&1; then " +
		"\"$kept\" merge-driver %O %A %B %L %P; code=$?; [ $code -gt 1 ] || exit $code; fi; " +
		"git merge-file -L ours -L base -L theirs --marker-size=%L %A %O %B"
}

// driverSettings returns the config of the merge driver and of diffs, by key.
// There is no merge.kept.name: with a name and no command Git refuses to merge
// at all, and without either it merges as text.
// The function context of a diff hunk is the header of the table it is in.
func (in *Installer) driverSettings() [][2]string {
	quoted := quote(in.Binary)
	if quoted == "" {
		quoted = "kept"
	}
	return [][2]string{
		{"merge.kept.driver", driverCommand(quoted)},
		{"diff.kept.xfuncname", `^\[.*\]$`},
	}
}

// installDriver writes the settings, unless somebody has a driver of that name.
func (in *Installer) installDriver(ctx context.Context) error {
	have, err := in.Repo.LocalConfig(ctx, `^(merge|diff)\.kept\.`)
	if err != nil {
		return err
	}
	if foreignDriver(have) {
		return nil
	}
	for _, s := range in.driverSettings() {
		if slices.Equal(have[s[0]], []string{s[1]}) {
			continue
		}
		if err := in.Repo.SetConfig(ctx, s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

func foreignDriver(have map[string][]string) bool {
	return slices.ContainsFunc(have["merge.kept.driver"], func(v string) bool { return !strings.HasPrefix(v, driverHead) })
}

// removeDriver removes what installDriver wrote.
func (in *Installer) removeDriver(ctx context.Context) error {
	have, err := in.Repo.LocalConfig(ctx, `^(merge|diff)\.kept\.`)
	if err != nil || foreignDriver(have) {
		return err
	}
	for _, s := range in.driverSettings() {
		mine := s[0] == "merge.kept.driver" || slices.Equal(have[s[0]], []string{s[1]})
		if len(have[s[0]]) == 0 || !mine {
			continue
		}
		if err := in.Repo.UnsetConfig(ctx, s[0]); err != nil {
			return err
		}
	}
	return nil
}

func (in *Installer) driverStatus(ctx context.Context) (bool, error) {
	have, err := in.Repo.LocalConfig(ctx, `^(merge|diff)\.kept\.`)
	if err != nil || foreignDriver(have) {
		return false, err
	}
	return len(have["merge.kept.driver"]) > 0 && len(have["diff.kept.xfuncname"]) > 0, nil
}

// AddAttributes adds the line for locks to .gitattributes in the top folder of
// the worktree root, and reports whether it was missing.
func AddAttributes(root string) (added bool, err error) {
	path := filepath.Join(root, ".gitattributes")
	have, err := hasAttributes(root)
	if err != nil || have {
		return false, err
	}
	data, err := readAttributes(path)
	if err != nil {
		return false, err
	}
	eol := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		eol = "\r\n"
	}
	text := string(data)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += eol
	}
	if err := replaceFile(path, string(data), text+attributesLine+eol, 0o666); err != nil {
		return false, fmt.Errorf("add kept.lock to .gitattributes: %w", err)
	}
	return true, nil
}

// hasAttributes reports whether a line of .gitattributes gives kept.lock all
// that attributesLine does.
func hasAttributes(root string) (bool, error) {
	data, err := readAttributes(filepath.Join(root, ".gitattributes"))
	if err != nil {
		return false, err
	}
	want := strings.Fields(attributesLine)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != want[0] && fields[0] != "**/"+want[0] {
			continue
		}
		if !slices.ContainsFunc(want[1:], func(w string) bool { return !slices.Contains(fields[1:], w) }) {
			return true, nil
		}
	}
	return false, nil
}

// readAttributes reads .gitattributes. Git does not follow a link there, so
// there is nothing to read or to add to behind one.
func readAttributes(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file, so Git does not read it", path)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
