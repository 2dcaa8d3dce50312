package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	gogitobject "github.com/go-git/go-git/v5/plumbing/object"
)

func TestResolve(t *testing.T) {
	w := newTree(t)
	first := w.commit("a.txt", "1")
	second := w.commit("a.txt", "2")
	w.git("tag", "-a", "-m", "release", "v1", first)
	w.git("update-ref", "refs/heads/-x", first)
	w.git("pack-refs", "--all")
	repo := w.find()
	for rev, want := range map[string]string{
		"HEAD": second, "HEAD~": first, "main": second, "v1": first, first[:8]: first, "-x": first, "@{0}": second,
	} {
		if got, err := repo.Resolve(t.Context(), rev); got != want || err != nil {
			t.Errorf("Resolve(%q) = %q, %v, want %q", rev, got, err, want)
		}
	}
	for _, rev := range []string{"", "nope", "HEAD~9", "--all", "v1:a.txt", "HEAD\nHEAD", strings.Repeat("0", 40), strings.Repeat("a", 40)} {
		_, err := repo.Resolve(t.Context(), rev)
		var unknown *RevisionError
		if !errors.As(err, &unknown) || unknown.Revision != rev {
			t.Errorf("Resolve(%q): got %v, want a *RevisionError", rev, err)
		}
	}
}

func TestRange(t *testing.T) {
	w := newTree(t)
	base := w.commit("a.txt", "1")
	w.git("checkout", "-q", "-b", "topic")
	topic := w.commit("b.txt", "1")
	w.git("checkout", "-q", "main")
	main := w.commit("a.txt", "2")
	w.git("checkout", "-q", "--orphan", "island")
	w.commit()
	w.git("checkout", "-q", "main")
	repo := w.find()
	tests := []struct {
		spec string
		want Range
	}{
		{"", Range{Old: main}},
		{"topic", Range{Old: topic}},
		{"topic..main", Range{topic, main}},
		{"topic..", Range{topic, main}},
		{"..topic", Range{main, topic}},
		{"main...topic", Range{base, topic}},
		{"topic...", Range{base, main}},
	}
	for _, test := range tests {
		if got, err := repo.Range(t.Context(), test.spec); got != test.want || err != nil {
			t.Errorf("Range(%q) = %v, %v, want %v", test.spec, got, err, test.want)
		}
	}
	if _, err := repo.Range(t.Context(), "main...island"); !errors.Is(err, ErrNoMergeBase) {
		t.Errorf("got %v, want ErrNoMergeBase", err)
	}
	var unknown *RevisionError
	if _, err := repo.Range(t.Context(), "main..nope"); !errors.As(err, &unknown) || unknown.Revision != "nope" {
		t.Errorf("got %v, want a *RevisionError for nope", err)
	}
}

func TestRangeBeforeFirstCommit(t *testing.T) {
	repo := newTree(t).find()
	if got, err := repo.Range(t.Context(), ""); got != (Range{}) || err != nil {
		t.Errorf("got %v, %v, want nothing on either side", got, err)
	}
}

func TestShallowClone(t *testing.T) {
	w := newTree(t)
	w.commit("kept.lock", "1")
	w.git("branch", "side")
	w.commit("kept.lock", "2")
	w.git("checkout", "-q", "side")
	w.commit("other.txt", "1")
	w.git("clone", "-q", "--depth=1", "--no-single-branch", "file://"+filepath.ToSlash(w.dir), "../shallow")
	repo := w.at("../shallow").find()
	if !repo.Shallow() || w.find().Shallow() {
		t.Error("Shallow does not tell the clones apart")
	}
	if data, err := repo.ReadFile(t.Context(), "origin/main", "kept.lock"); string(data) != "2" || err != nil {
		t.Errorf("ReadFile: got %q, %v", data, err)
	}
	_, err := repo.Range(t.Context(), "origin/main...origin/side")
	if !errors.Is(err, ErrNoMergeBase) || !strings.Contains(err.Error(), "shallow") {
		t.Errorf("got %v, want ErrNoMergeBase that mentions the shallow clone", err)
	}
}

var weirdNames = []string{"plain", "with space", "quote'\"", "-dash", "tab\tname", "line\nfeed", "ünïcode", ":colon", "a/b: c/:(top)x", "star*?[x]", "back\\slash", "missing", "x missing"}

func TestReadFiles(t *testing.T) {
	skipOnWindows(t, "the names are not possible there")
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			w := newTree(t, "--object-format="+format)
			var files []File
			var want []string
			for i, name := range weirdNames {
				w.write(name, strings.Repeat(name+"\r\n\x00", i))
				files, want = append(files, File{"HEAD", name}), append(want, strings.Repeat(name+"\r\n\x00", i))
			}
			w.git("add", "-A")
			id := w.commit()
			repo := w.find()
			for _, name := range weirdNames {
				if data, err := repo.Staged(t.Context(), name); err != nil || !strings.HasPrefix(string(data), name) && name != "plain" {
					t.Errorf("Staged(%q) = %q, %v", name, data, err)
				}
			}
			files, want = append(files, File{id, "plain"}), append(want, "")
			got, err := repo.ReadFiles(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range files {
				if string(got[i].Data) != want[i] || got[i].Err != nil {
					t.Errorf("%q: got %q, %v, want %q", f.Path, got[i].Data, got[i].Err, want[i])
				}
			}
		})
	}
}

func TestReadFilesAbsent(t *testing.T) {
	w := newTree(t)
	w.commit("dir/a.txt", "1")
	repo := w.find()
	got, err := repo.ReadFiles(t.Context(), []File{
		{"HEAD", "b.txt"}, {"HEAD", "dir/b.txt"}, {"HEAD", "no/such/dir"}, {"HEAD", "dir"}, {"HEAD", "dir/a.txt/x"},
		{"nope", "dir/a.txt"}, {strings.Repeat("a", 40), "dir/a.txt"}, {"HEAD", "line\nfeed"}, {"HEAD", "dir/a.txt"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if !errors.Is(got[i].Err, fs.ErrNotExist) {
			t.Errorf("%d: got %v, want fs.ErrNotExist", i, got[i].Err)
		}
	}
	for i := 5; i < 7; i++ {
		var unknown *RevisionError
		if !errors.As(got[i].Err, &unknown) {
			t.Errorf("%d: got %v, want a *RevisionError", i, got[i].Err)
		}
	}
	if !errors.Is(got[7].Err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", got[7].Err)
	}
	if string(got[8].Data) != "1" || got[8].Err != nil {
		t.Errorf("a file after absent ones: got %q, %v", got[8].Data, got[8].Err)
	}
}

func TestReadFileWhoseObjectIsLost(t *testing.T) {
	w := newTree(t)
	w.commit("dir/a.txt", "1")
	for _, object := range []string{"HEAD:dir/a.txt", "HEAD:dir", "HEAD:"} {
		id := w.git("rev-parse", object)
		if err := os.Remove(filepath.Join(w.dir, ".git", "objects", id[:2], id[2:])); err != nil {
			t.Fatal(err)
		}
		_, err := w.find().ReadFile(t.Context(), "HEAD", "dir/a.txt")
		if !errors.Is(err, ErrObjectMissing) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: got %v, want ErrObjectMissing", object, err)
		}
	}
}

// What Git says when it gives up reaches the caller, also from the middle of a batch.
func TestReadFileInBrokenRepository(t *testing.T) {
	w := newTree(t)
	w.commit("a.txt", "1")
	repo := w.find()
	w.write(".git/config", "[core\n")
	files := make([]File, 20000) // more requests than a pipe holds
	for i := range files {
		files[i] = File{strings.Repeat("a", 40), "a.txt"}
	}
	_, err := repo.ReadFiles(t.Context(), files)
	var failed *Error
	if !errors.As(err, &failed) || failed.ExitCode != 128 || !strings.Contains(err.Error(), "bad config") {
		t.Errorf("got %v, want what Git said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := repo.ReadFile(ctx, "HEAD", "a.txt"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestReadManyFiles(t *testing.T) {
	w := newTree(t)
	big := strings.Repeat("0123456789abcdef", 20<<10) // larger than both pipes
	var files []File
	for i := range 40 {
		w.write(fmt.Sprint(i), big+fmt.Sprint(i))
	}
	w.git("add", "-A")
	w.commit()
	for i := range 4000 {
		files = append(files, File{"HEAD", fmt.Sprint(i % 40)})
	}
	got, err := w.find().ReadFiles(t.Context(), files[:400])
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if c.Err != nil || string(c.Data) != big+files[i].Path {
			t.Fatalf("%d: got %d bytes, %v", i, len(c.Data), c.Err)
		}
	}
}

func TestReadThroughAlternates(t *testing.T) {
	w := newTree(t)
	w.commit("a.txt", "1")
	w.git("repack", "-qad")
	w.git("clone", "-q", "--shared", ".", "../shared")
	if data, err := w.at("../shared").find().ReadFile(t.Context(), "HEAD", "a.txt"); string(data) != "1" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

// TestReadFileAgreesWithGoGit reads every file of every commit twice, once by
// another implementation of Git that shares no code with this one.
func TestReadFileAgreesWithGoGit(t *testing.T) {
	w := newTree(t)
	for i := range 6 {
		w.commit("kept.lock", strings.Repeat(fmt.Sprintf("line %d\n", i), 200), fmt.Sprintf("d%d/ü x", i%2), fmt.Sprint(i), "empty", "")
		if i == 2 {
			w.git("repack", "-qad")
			w.git("pack-refs", "--all")
		}
	}
	oracle, err := gogit.PlainOpen(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	head, err := oracle.Head()
	if err != nil {
		t.Fatal(err)
	}
	commits, err := oracle.Log(&gogit.LogOptions{From: head.Hash()})
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	var want [][]byte
	err = commits.ForEach(func(c *gogitobject.Commit) error {
		tree, err := c.Tree()
		if err != nil {
			return err
		}
		return tree.Files().ForEach(func(f *gogitobject.File) error {
			text, err := f.Contents()
			files, want = append(files, File{c.Hash.String(), f.Name}), append(want, []byte(text))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("the oracle saw %d files only", len(files))
	}
	repo := w.find()
	got, err := repo.ReadFiles(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if got[i].Err != nil || !bytes.Equal(got[i].Data, want[i]) {
			t.Errorf("%s:%s: got %q, %v, want %q", f.Revision, f.Path, got[i].Data, got[i].Err, want[i])
		}
	}
	hash, err := oracle.ResolveRevision(plumbing.Revision("HEAD~3"))
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if id, err := repo.Resolve(t.Context(), "HEAD~3"); id != hash.String() || err != nil {
		t.Errorf("Resolve: got %q, %v, want %s", id, err, hash)
	}
}

func TestMergeFile(t *testing.T) {
	w := newTree(t)
	w.write("base", "a\nb\nc\n")
	w.write("ours", "a1\nb\nc\n")
	w.write("theirs", "a\nb\nc2\n")
	n, err := MergeFile(t.Context(), w.at("ours").dir, w.at("base").dir, w.at("theirs").dir, 7)
	data, _ := os.ReadFile(w.at("ours").dir)
	if n != 0 || err != nil || string(data) != "a1\nb\nc2\n" {
		t.Errorf("got %d, %v, %q", n, err, data)
	}
	w.write("theirs", "a3\nb\nc2\n")
	n, err = MergeFile(t.Context(), w.at("ours").dir, w.at("base").dir, w.at("theirs").dir, 9)
	data, _ = os.ReadFile(w.at("ours").dir)
	if n != 1 || err != nil || !strings.Contains(string(data), "<<<<<<<<< ours\n") {
		t.Errorf("got %d, %v, %q", n, err, data)
	}
	if _, err := MergeFile(t.Context(), w.at("gone").dir, w.at("base").dir, w.at("theirs").dir, 7); err == nil {
		t.Error("a missing side was merged")
	}
}
