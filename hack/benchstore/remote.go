package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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

// requests returns how many requests the server has answered.
func (s server) requests() (int, error) {
	data, err := os.ReadFile(s.log)
	return bytes.Count(data, []byte("\n")), err
}

// sharer is a contender that brings what it keeps to a bucket and back.
type sharer struct {
	contender
	// connect tells a new repository of the bucket, untimed.
	connect commands
	// push brings what was kept to the bucket.
	push commands
	// forget removes what this machine has, but for what Git has.
	forget []string
	// pull brings the bytes from the bucket into the working tree.
	pull commands
	// quarter is the folder of the bucket that it uses.
	quarter string
}

// sharers returns those that can reach an S3 server.
func (b *bench) sharers(path string) []sharer {
	return []sharer{b.keptSharing(path), b.dvcSharing(path), b.rclone(path)}
}

func (b *bench) keptSharing(path string) sharer {
	return sharer{
		contender: b.newKept(path),
		connect: commands{{
			b.kept, "remote", "add", "default", "s3://" + bucket + "/kept",
			"-o", "endpoint=" + b.server.url, "-o", "region=us-east-1", "-o", "path_style=true",
		}},
		push:    commands{{b.kept, "push"}},
		forget:  []string{".git/kept/store", ".git/kept/remotes", path},
		pull:    commands{{b.kept, "pull"}},
		quarter: "kept",
	}
}

func (b *bench) dvcSharing(path string) sharer {
	c := b.newDVC(path)
	command := func(args ...string) []string { return append([]string{b.dvc, "-m", "dvc"}, args...) }
	return sharer{
		contender: c,
		connect: commands{
			command("remote", "add", "-q", "-d", "s3", "s3://"+bucket+"/dvc"),
			command("remote", "modify", "s3", "endpointurl", b.server.url),
			command("remote", "modify", "s3", "region", "us-east-1"),
		},
		push:    commands{command("push", "-q")},
		forget:  []string{".dvc/cache", ".dvc/tmp", path},
		pull:    commands{command("pull", "-q")},
		quarter: "dvc",
	}
}

// rclone keeps nothing: it copies the working tree.
func (b *bench) rclone(path string) sharer {
	to := "bench:" + bucket + "/rclone"
	return sharer{
		contender: contender{
			name: "rclone", peer: true, syncs: nothing, verifies: true,
			version: []string{"rclone", "version"}, install: "apt-get install rclone",
			add: always(nil), store: ".",
		},
		push:    commands{{"rclone", "copy", path, to}},
		forget:  []string{path},
		pull:    commands{{"sh", "-c", `if rclone lsf "$1" | grep -q "^$2$"; then rclone copy "$1/$2" .; else rclone copy "$1" "$2"; fi`, "pull", to, path}},
		quarter: "rclone",
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
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := b.remoteWeights(); err != nil {
		return err
	}
	return b.remoteFiles()
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
	return b.share(fmt.Sprintf("S3, weights: %d MiB of float32", b.size>>20), path, first, second, 1)
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
	return b.share(fmt.Sprintf("S3, small files: %d of %s", b.files, megabytes(float64(bytes))), path, source, "", 1)
}

// share measures every sharer with the first version of path and, if there is
// one, the second.
func (b *bench) share(title, path, first, second string, most float64) error {
	want, err := fingerprint(first)
	if err != nil {
		return err
	}
	all := b.sharers(path)
	by, plain := map[string]sharer{}, []contender{}
	for _, s := range all {
		by[s.name] = s
		plain = append(plain, s.contender)
	}
	contenders, notes := present(plain)
	t := newTable(title, contenders)
	t.notes = append(notes,
		"push of kept and DVC: what was added before, from the store or cache; rclone copies the working tree. pull: over nothing, to a verified working tree.",
		"The server runs on the same processors.")
	push := t.row("push", seconds, limit{most: most, than: best})
	sent := t.row("bytes in the bucket", megabytes)
	asked := t.row("requests of the push", plainNumber)
	pull := t.row("pull", seconds, limit{most: most, than: best})
	askedPull := t.row("requests of the pull", plainNumber)
	again := t.row("push again, nothing changed", seconds)
	pushSecond := t.row("push of a second version, 1 % others", seconds)
	sentSecond := t.row("bytes it adds", megabytes, limit{most: 0.03, than: "the file", of: func() float64 { return float64(b.size) }})
	if second == "" {
		t.rows = t.rows[:len(t.rows)-2]
	}
	return b.inTurn(t, b.rounds, contenders, path, func(turn *trial) {
		s := by[turn.name]
		turn.do(func() error { return emptied(filepath.Join(b.server.dir, bucket)) })
		turn.run(s.connect)
		turn.place(first)
		turn.age()
		turn.run(s.add(1))
		turn.run(s.settle)
		turn.counting(asked, func() { turn.time(push, s.push) })
		now := turn.measureBucket(sent, s.quarter, 0)
		turn.time(again, s.push)
		for _, name := range s.forget {
			turn.do(func() error { return removeAll(filepath.Join(turn.dir, name)) })
		}
		turn.counting(askedPull, func() { turn.time(pull, s.pull) })
		turn.check(want)
		if second == "" {
			return
		}
		turn.place(second)
		turn.run(s.add(2))
		turn.run(s.settle)
		turn.time(pushSecond, s.push)
		turn.measureBucket(sentSecond, s.quarter, now)
	})
}

// counting adds to r how many requests the server answers while f runs.
func (t *trial) counting(r *row, f func()) {
	before, err := t.server.requests()
	t.do(func() error { return err })
	f()
	t.do(func() error {
		after, err := t.server.requests()
		r.add(t.name, sample{value: float64(after - before)})
		return err
	})
}

// measureBucket adds to r the bytes in a folder of the bucket beyond those that
// were there before, and returns what is there now.
func (t *trial) measureBucket(r *row, quarter string, before int64) (now int64) {
	t.do(func() (err error) {
		now, err = stored(filepath.Join(t.server.dir, bucket, quarter))
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
