package git

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// ids returns the ids of commits.
func ids(commits []Commit) []string {
	var list []string
	for _, c := range commits {
		list = append(list, c.ID)
	}
	return list
}

func (w tree) log(o LogOptions) []Commit {
	w.t.Helper()
	commits, err := w.find().Log(w.t.Context(), "exp/kept.lock", o)
	if err != nil {
		w.t.Fatal(err)
	}
	return commits
}

// merge merges a branch and ends with that content of the lock.
func (w tree) merge(branch, lock string) string {
	w.t.Helper()
	w.git("merge", "-q", "--no-commit", "-s", "ours", "--no-ff", branch)
	w.write("exp/kept.lock", lock)
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "merge")
	return w.git("rev-parse", "HEAD")
}

func TestLog(t *testing.T) {
	for _, format := range [][]string{nil, {"--object-format=sha256"}, {"--ref-format=reftable"}} {
		t.Run(strings.Join(format, ""), func(t *testing.T) {
			if len(format) > 0 && !supports(t, format[0]) {
				t.Skipf("this Git has no %s", format[0])
			}
			w := newTree(t, format...)
			if got := w.log(LogOptions{}); len(got) != 0 {
				t.Fatalf("without a commit: got %v", got)
			}
			w.commit("a.txt", "1")
			one := w.commit("exp/kept.lock", "1")
			w.commit("a.txt", "2")
			w.git("checkout", "-q", "-b", "side")
			side := w.commit("exp/kept.lock", "side")
			w.git("checkout", "-q", "main")
			two := w.commit("exp/kept.lock", "2")
			merge := w.merge("side", "2")
			w.git("rm", "-q", "exp/kept.lock")
			gone := w.commit()
			back := w.commit("exp/kept.lock", "1")
			w.commit("a.txt", "3")

			got := w.log(LogOptions{})
			want := map[string][]string{
				back: {gone}, gone: {merge}, merge: {two, side}, two: {one}, side: {one}, one: {},
			}
			if len(got) != len(want) {
				t.Fatalf("got %d commits, want %d: %+v", len(got), len(want), got)
			}
			for _, c := range got {
				if !slices.Equal(c.Parents, want[c.ID]) {
					t.Errorf("parents of %s: got %v, want %v", c.ID, c.Parents, want[c.ID])
				}
				blob := ""
				if c.ID != gone {
					blob = w.git("rev-parse", c.ID+":exp/kept.lock")
				}
				if c.New != blob || c.Odd || c.Boundary {
					t.Errorf("%s: got %+v, want the blob %q", c.ID, c, blob)
				}
			}
			if got[0].Author != "A U Thor" || got[0].Subject != "change" || time.Since(got[0].Time) > time.Hour {
				t.Errorf("got %+v", got[0])
			}
			if got, want := ids(w.log(LogOptions{FirstParent: true})), []string{back, gone, two, one}; !slices.Equal(got, want) {
				t.Errorf("first parents: got %v, want %v", got, want)
			}
			ranged := w.log(LogOptions{Revision: one + ".." + two})
			if len(ranged) != 1 || ranged[0].ID != two || !slices.Equal(ranged[0].Parents, []string{one}) ||
				ranged[0].Old != w.git("rev-parse", one+":exp/kept.lock") {
				t.Errorf("range: got %+v", ranged)
			}
		})
	}
}

func supports(t *testing.T, option string) bool {
	w := tree{t, t.TempDir()}
	_, err := os.Stat(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	c := command{dir: w.dir}
	_, err = c.run(t.Context(), "init", "-q", option, "probe")
	return err == nil
}

// TestLogAgreesWithGit asks Git for what each commit of random histories has.
func TestLogAgreesWithGit(t *testing.T) {
	for seed := range uint64(4) {
		w := newTree(t)
		random := rand.New(rand.NewPCG(seed, 1))
		var stream strings.Builder
		const n = 80
		for i := 1; i <= n; i++ {
			fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\ncommitter A <a@b> %d +0000\ndata 1\nx\n", i, 1_700_000_000+i*60)
			if i > 1 {
				fmt.Fprintf(&stream, "from :%d\n", i-1-random.IntN(min(i-1, 3)))
				if random.IntN(3) == 0 {
					fmt.Fprintf(&stream, "merge :%d\n", 1+random.IntN(i-1))
				}
			}
			switch random.IntN(6) {
			case 0:
				fmt.Fprintf(&stream, "D exp/kept.lock\n")
			case 1, 2:
				fmt.Fprintf(&stream, "M 100644 inline exp/kept.lock\ndata 1\n%d\n", random.IntN(4))
			case 3:
				fmt.Fprintf(&stream, "M 120000 inline exp/kept.lock\ndata 1\nx\n")
			}
		}
		stream.WriteString("done\n")
		repo := w.find()
		if _, err := repo.gitInput(t.Context(), []byte(stream.String()), "fast-import", "--quiet", "--done", "--force"); err != nil {
			t.Fatal(err)
		}
		for _, o := range []LogOptions{{}, {FirstParent: true}, {Revision: "main~9..main"}, {Since: "2023-11-14T22:40:00Z"}} {
			commits := w.log(o)
			seen := map[string]bool{}
			for _, c := range slices.Backward(commits) {
				for _, p := range c.Parents {
					if o == (LogOptions{}) && !seen[p] {
						t.Errorf("seed %d: %s comes before its parent %s", seed, c.ID, p)
					}
				}
				seen[c.ID] = true
				listed := w.git("ls-tree", c.ID, "exp/kept.lock")
				blob, odd := "", strings.HasPrefix(listed, "12")
				if strings.HasPrefix(listed, "10") {
					blob = strings.Fields(listed)[2]
				}
				if c.New != blob || c.Odd != odd {
					t.Errorf("seed %d, %+v: %s has %q, odd %v; Git has %q", seed, o, c.ID, c.New, c.Odd, listed)
				}
			}
		}
	}
}

func TestLogOfHostileText(t *testing.T) {
	w := newTree(t)
	w.git("config", "log.showSignature", "true")
	w.git("config", "log.showRoot", "false")
	w.git("config", "log.follow", "true")
	w.git("config", "diff.orderFile", "nowhere")
	w.git("config", "diff.renames", "copies")
	w.git("config", "format.pretty", "fuller")
	w.git("config", "color.ui", "always")
	w.write("exp/kept.lock", "1")
	w.git("add", "-A")
	subject := ":100644 100644 \x1b[31m \x01\"' -- $(x) \xff é"
	w.git("-c", "user.name=A\x1b[2J \x01 é", "commit", "-q", "-m", subject, "--cleanup=verbatim")
	got := w.log(LogOptions{})
	if len(got) != 1 || !strings.Contains(got[0].Subject, "\x1b[31m \x01\"' -- $(x)") || !strings.Contains(got[0].Author, "A\x1b[2J \x01 é") || got[0].New == "" {
		t.Errorf("got %q by %q", got[0].Subject, got[0].Author)
	}
	for _, rev := range []string{"nope", "--all", "-x", "HEAD^9", "a..b"} {
		_, err := w.find().Log(t.Context(), "exp/kept.lock", LogOptions{Revision: rev})
		var unknown *RevisionError
		if !errors.As(err, &unknown) || unknown.Revision != rev {
			t.Errorf("revision %q: got %v, want a *RevisionError", rev, err)
		}
	}
}

func TestLogOfShallowClone(t *testing.T) {
	w := newTree(t)
	for i := range 5 {
		w.commit("exp/kept.lock", fmt.Sprint(i))
	}
	clone := w.at("../clone")
	w.git("clone", "-q", "--depth=2", "file://"+w.dir, clone.dir)
	got := clone.log(LogOptions{})
	if len(got) != 2 || got[0].Boundary || !got[1].Boundary || len(got[1].Parents) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestLogOfSparseAndPartialClone(t *testing.T) {
	w := newTree(t)
	w.git("config", "uploadpack.allowFilter", "true")
	w.commit("exp/kept.lock", "1", "other/a.txt", "x")
	w.commit("exp/kept.lock", "2")
	clone := w.at("../clone")
	w.git("clone", "-q", "--filter=blob:none", "--sparse", "file://"+w.dir, clone.dir)
	got := clone.log(LogOptions{})
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	texts := map[int]string{}
	err := clone.find().ReadBlobs(t.Context(), []string{got[0].New, got[1].New}, func(i int, data []byte, err error) {
		texts[i] = fmt.Sprint(string(data), err)
	})
	if err != nil || texts[0] != "2<nil>" || texts[1] != "1<nil>" {
		t.Errorf("got %v, %v", texts, err)
	}

	// Without the remote, what is here is read and the rest is missing.
	w.commit("exp/kept.lock", "3")
	w.commit("exp/kept.lock", "4")
	other := w.at("../other")
	w.git("clone", "-q", "--filter=blob:none", "file://"+w.dir, other.dir)
	other.git("remote", "set-url", "origin", "file:///nowhere")
	got = other.log(LogOptions{})
	missing := 0
	err = other.find().ReadBlobs(t.Context(), []string{got[3].New, got[0].New, got[2].New, got[1].New}, func(i int, data []byte, err error) {
		if errors.Is(err, ErrObjectMissing) {
			missing++
		} else if i != 1 || string(data) != "4" || err != nil {
			t.Errorf("blob %d: got %q, %v", i, data, err)
		}
	})
	if err != nil || missing != 3 {
		t.Errorf("%d missing, %v; want 3", missing, err)
	}
}

func TestReadBlobsWithoutOne(t *testing.T) {
	w := newTree(t)
	w.commit("a.txt", "1")
	id := w.git("rev-parse", "HEAD:a.txt")
	var got []string
	err := w.find().ReadBlobs(t.Context(), []string{strings.Repeat("1", 40), id, w.git("rev-parse", "HEAD")}, func(_ int, data []byte, err error) {
		got = append(got, fmt.Sprintf("%s %v", data, errors.Is(err, ErrObjectMissing)))
	})
	if want := []string{" true", "1 false", " true"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func FuzzReadLog(f *testing.F) {
	id := strings.Repeat("a", 40)
	head := id + "\x00\x001700000000\x00A\x00s\x00"
	f.Add([]byte(head + "\n:100644 000000 " + id + " " + id + " D\x00kept.lock\x00\x00" + head))
	f.Add([]byte(head))
	f.Add([]byte(head + "\x00" + id + "\x00" + id + " " + id + "\x00\x00\x00:\x00\x00" + head))
	f.Fuzz(func(t *testing.T, data []byte) {
		commits, err := readLog(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		carry(commits)
		for _, c := range commits {
			if !isID(c.ID) || c.New != "" && c.New != unknown && !isID(c.New) {
				t.Errorf("got %+v", c)
			}
		}
	})
}
