package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWriteFile(t *testing.T) {
	put := func(path, text string) error { return writeFile(t.Context(), path, []byte(text)) }
	dir := t.TempDir()
	file := filepath.Join(dir, "gate.md")
	for _, text := range []string{"first", "second"} {
		if err := put(file, text); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	if err := put(dir, "x"); err == nil {
		t.Error("a folder was written")
	}
	for path, want := range map[string]string{
		filepath.Join(file, "x"):      "is no folder",
		filepath.Join(dir, "no", "x"): "there is no folder",
	} {
		if err := put(path, "x"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if runtime.GOOS != "windows" {
		link := filepath.Join(dir, "link")
		if err := os.Symlink("gate.md", link); err != nil {
			t.Fatal(err)
		}
		if err := put(link, "third"); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != "second" {
			t.Errorf("written through a link: %q", got)
		}
		if got, _ := os.ReadFile(link); string(got) != "third" {
			t.Errorf("in place of a link: got %q", got)
		}
		// A device stays one.
		if err := put(os.DevNull, "x"); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
			t.Fatalf("%s became %v, %v", os.DevNull, info.Mode(), err)
		}
	}
	f, err := prepareFile(file, []byte("never"))
	if err != nil {
		t.Fatal(err)
	}
	if failed := discard([]*newFile{f}); len(failed) > 0 && failed[0] != nil {
		t.Error(failed)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "gate.md" && name != "link" {
			t.Errorf("%s is left over", name)
		}
	}
}
