package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestForeignChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	_, temp := Foreign.Temp(dir)
	for what, err := range map[string]error{
		"mkdir":  Foreign.Mkdir(filepath.Join(dir, "new")),
		"temp":   temp,
		"rename": Foreign.Rename(file, file+"2"),
		"link":   Foreign.Link(file, file+"2"),
		"remove": Foreign.Remove(file),
		"touch":  Foreign.Touch(file, time.Unix(1, 0)),
		"sync":   Foreign.SyncDir(dir),
	} {
		if !errors.Is(err, fs.ErrPermission) || !IsReadOnly(err) {
			t.Errorf("%s: got %v, want fs.ErrPermission", what, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if after, err := os.Stat(file); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("the file was changed: %v, %v", after, err)
	}
}
