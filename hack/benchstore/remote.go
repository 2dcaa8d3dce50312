package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// server is an S3 server that every contender talks to. It runs in the same two
// processors: what is measured is what a client costs beside a server that costs the same.
type server struct {
	// url is its endpoint, such as "http://127.0.0.1:7070".
	url string
	// dir is the folder in which it keeps its buckets.
	dir string
	// log has a line for each request.
	log string
}

// bucket is emptied before each turn.
const bucket = "models"

// venue is where all contenders of a table bring what they keep.
type venue struct {
	name string
	// dir is the folder of this machine in which it all ends.
	dir string
	// log has a line for each request; it is empty where there are none.
	log string
	// than is whom kept is to be as fast as.
	than string
	// sharers are those that can reach it, with commands for path.
	sharers func(path string) []sharer
}

// venues are a bucket of the server, and a folder.
func (b *bench) venues() []venue {
	folder := filepath.Join(b.dir, "share")
	return []venue{
		{name: "S3", dir: filepath.Join(b.server.dir, bucket), log: b.server.log, than: best, sharers: func(path string) []sharer {
			return []sharer{
				b.keptSharing(path, "s3://"+bucket+"/kept", "-o", "endpoint="+b.server.url, "-o", "region=us-east-1", "-o", "path_style=true"),
				b.dvcSharing(path, "s3://"+bucket+"/dvc", "endpointurl", b.server.url, "region", "us-east-1"),
				rclone(path, "bench:"+bucket+"/rclone"),
			}
		}},
		{name: "a folder", dir: folder, than: "git-lfs", sharers: func(path string) []sharer {
			return []sharer{
				b.keptSharing(path, filepath.Join(folder, "kept")),
				b.dvcSharing(path, filepath.Join(folder, "dvc")),
				rclone(path, filepath.Join(folder, "rclone")),
				lfsSharing(path, filepath.Join(folder, "git-lfs")),
			}
		}},
	}
}

// sharer is a contender that brings what it keeps to a venue and back.
type sharer struct {
	contender
	// connect tells a new repository of the venue, untimed.
	connect commands
	// push brings what was kept to the venue.
	push commands
	// forget removes what this machine has, but for what Git has.
	forget []string
	// pull brings the bytes from the venue into the working tree.
	pull commands
}

func (b *bench) keptSharing(path, url string, options ...string) sharer {
	return sharer{
		contender: b.newKept(path),
		connect:   commands{append([]string{b.kept, "remote", "add", "default", url}, options...)},
		push:      commands{{b.kept, "push"}},
		forget:    []string{".git/kept/store", ".git/kept/remotes", path},
		pull:      commands{{b.kept, "pull"}},
	}
}

func (b *bench) dvcSharing(path, url string, options ...string) sharer {
	command := func(args ...string) []string { return append([]string{b.dvc, "-m", "dvc"}, args...) }
	connect := commands{command("remote", "add", "-q", "-d", "venue", url)}
	for pair := range slices.Chunk(options, 2) {
		connect = append(connect, command("remote", "modify", "venue", pair[0], pair[1]))
	}
	return sharer{
		contender: b.newDVC(path),
		connect:   connect,
		push:      commands{command("push", "-q")},
		forget:    []string{".dvc/cache", ".dvc/tmp", path},
		pull:      commands{command("pull", "-q")},
	}
}

// rclone keeps nothing: it copies the working tree.
func rclone(path, to string) sharer {
	return sharer{
		contender: contender{
			name: "rclone", peer: true, syncs: nothing, verifies: true,
			version: []string{"rclone", "version"}, install: "apt-get install rclone",
			add: always(nil), store: ".",
		},
		// Of a folder it copies what is in it, to or into which its user says.
		push:   commands{{"sh", "-c", `if test -d "$1"; then rclone copy "$1" "$2/$1"; else rclone copy "$1" "$2"; fi`, "push", path, to}},
		forget: []string{path},
		pull:   commands{{"rclone", "copy", to, "."}},
	}
}

// lfsSharing needs a server of its own kind, but for a repository in a folder.
func lfsSharing(path, to string) sharer {
	return sharer{
		contender: lfs(path),
		connect:   commands{{"git", "init", "-q", "--bare", to}, {"git", "remote", "add", "origin", "file://" + to}},
		push:      commands{{"git", "push", "-q", "origin", "HEAD:main"}},
		forget:    []string{".git/lfs/objects", path},
		pull:      commands{{"git", "lfs", "pull", "origin"}},
	}
}

// remote pushes and pulls one large file in two versions, and a folder of small ones.
func (b *bench) remote() error {
	if b.server.url == "" {
		return fmt.Errorf("no server: hack/bench-remote.sh starts one")
	}
	for name, value := range map[string]string{
		"RCLONE_CONFIG_BENCH_TYPE": "s3", "RCLONE_CONFIG_BENCH_PROVIDER": "Other", "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
		"RCLONE_CONFIG_BENCH_ENDPOINT": b.server.url, "RCLONE_CONFIG_BENCH_REGION": "us-east-1", "RCLONE_CONFIG": "",
		"RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET": "true", // it would make one, which the server refuses
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return errors.Join(b.remoteWeights(), b.remoteFiles())
}

func (b *bench) remoteWeights() error {
	const path = "model.safetensors"
	first, second := filepath.Join(b.dir, "first.safetensors"), filepath.Join(b.dir, "second.safetensors")
	if err := writeWeights(first, b.size, float32s); err != nil {
		return err
	}
	if err := writeEdited(second, first); err != nil {
		return err
	}
	for _, v := range b.venues() {
		if err := b.share(v, fmt.Sprintf("%d MiB of float32", b.size>>20), path, first, second); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) remoteFiles() error {
	const path = "data"
	source := filepath.Join(b.dir, "source")
	if err := (folder{files: b.files, perFolder: 100, size: lognormal}).write(source); err != nil {
		return err
	}
	bytes, err := stored(source)
	if err != nil {
		return err
	}
	for _, v := range b.venues() {
		if err := b.share(v, fmt.Sprintf("%d small files of %s", b.files, megabytes(float64(bytes))), path, source, ""); err != nil {
			return err
		}
	}
	return nil
}

// share measures every sharer of a venue with the first version of path and, if
// there is one, the second.
func (b *bench) share(v venue, what, path, first, second string) error {
	want, err := fingerprint(first)
	if err != nil {
		return err
	}
	by, plain := map[string]sharer{}, []contender{}
	for _, s := range v.sharers(path) {
		by[s.name] = s
		plain = append(plain, s.contender)
	}
	contenders, notes := present(plain)
	t := newTable("Remote, "+v.name+": "+what, contenders)
	t.notes = append(notes,
		"push: what was added before, from the store or cache; rclone copies the working tree, git-lfs pushes a commit of Git as well. pull: over nothing, to a working tree.")
	if v.log != "" {
		t.notes = append(t.notes, "The server runs on the same processors.")
	}
	rows := v.rows(t, b.size, second != "")
	err = b.inTurn(t, b.rounds, contenders, path, func(turn *trial) { turn.share(by[turn.name], v, rows, first, second, want) })
	t.print(b.out)
	return err
}

// sharedRows are the rows of a table of a venue; those that it has not are nil.
type sharedRows struct{ push, sent, asked, pull, askedPull, again, pushSecond, sentSecond *row }

func (v venue) rows(t *table, size int64, second bool) (r sharedRows) {
	r.push = t.row("push", seconds, limit{most: 1, than: v.than})
	r.sent = t.row("bytes there", megabytes)
	if v.log != "" {
		r.asked = t.row("requests of the push", plainNumber)
	}
	r.pull = t.row("pull", seconds, limit{most: 1, than: v.than})
	if v.log != "" {
		r.askedPull = t.row("requests of the pull", plainNumber)
	}
	r.again = t.row("push again, nothing changed", seconds)
	if second {
		r.pushSecond = t.row("push of a second version, 1 % others", seconds)
		r.sentSecond = t.row("bytes it adds", megabytes, limit{most: 0.03, than: "the file", of: func() float64 { return float64(size) }})
	}
	return r
}

// share is a turn of a sharer.
func (t *trial) share(s sharer, v venue, r sharedRows, first, second, want string) {
	t.do(func() error { return emptied(v.dir) })
	t.run(s.connect)
	t.place(first)
	t.age()
	t.run(s.add(1))
	t.run(s.settle)
	t.counting(r.asked, v, func() { t.time(r.push, s.push) })
	now := t.measureVenue(r.sent, v, 0)
	t.time(r.again, s.push)
	for _, name := range s.forget {
		t.do(func() error { return removeAll(filepath.Join(t.dir, name)) })
	}
	t.counting(r.askedPull, v, func() { t.time(r.pull, s.pull) })
	t.check(want)
	if second == "" {
		return
	}
	t.place(second)
	t.run(s.add(2))
	t.run(s.settle)
	t.time(r.pushSecond, s.push)
	t.measureVenue(r.sentSecond, v, now)
}

// counting adds to r how many requests the venue answers while f runs.
func (t *trial) counting(r *row, v venue, f func()) {
	if v.log == "" {
		f()
		return
	}
	before, err := requests(v.log)
	t.do(func() error { return err })
	f()
	t.do(func() error {
		after, err := requests(v.log)
		r.add(t.name, sample{value: float64(after - before)})
		return err
	})
}

// requests returns how many requests a log has.
func requests(log string) (int, error) {
	data, err := os.ReadFile(log)
	return bytes.Count(data, []byte("\n")), err
}

// measureVenue adds to r the bytes at a venue beyond those that were there before,
// and returns what is there now.
func (t *trial) measureVenue(r *row, v venue, before int64) (now int64) {
	t.do(func() (err error) {
		now, err = stored(v.dir)
		r.add(t.name, sample{value: float64(now - before)})
		return err
	})
	return now
}

// emptied removes all that is in a folder, and makes it if it is not there.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return os.Mkdir(dir, 0o777)
	}
	for _, e := range entries {
		if err := removeAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return err
}

func plainNumber(v float64) string { return fmt.Sprintf("%.0f", v) }
