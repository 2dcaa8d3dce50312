package cas

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// checkpoint says how far a full check came.
type checkpoint struct {
	Version int `json:"version"`
	// Packs were read and found whole.
	Packs []string `json:"packs"`
	// Content is the last of the contents that was read, in the order of their hashes.
	Content string `json:"content,omitempty"`

	known map[string]bool
	saved time.Time
	there bool // there is a file of it
}

const (
	checkpointName    = "check"
	checkpointVersion = 1
	// checkpointEvery is how much work an interruption may cost.
	checkpointEvery = 5 * time.Second
	// checkpointSize bounds what is read: the names of a million packs.
	checkpointSize = 80 << 20
)

func (p *checkpoint) hasPack(name pack.Name) bool { return p.known[name.String()] }

func (p *checkpoint) addPack(name pack.Name) { p.Packs = append(p.Packs, name.String()) }

// readCheckpoint returns the checkpoint of an interrupted check, or an empty one.
func (l *Local) readCheckpoint() *checkpoint {
	empty := &checkpoint{Version: checkpointVersion, saved: time.Now()}
	f, err := l.disk.Open(filepath.Join(l.dir, checkpointName))
	if err != nil {
		return empty
	}
	defer f.Close()
	var p checkpoint
	data, err := io.ReadAll(io.NewSectionReader(f, 0, checkpointSize))
	if err != nil || json.Unmarshal(data, &p) != nil || p.Version != checkpointVersion || strings.Trim(p.Content, "0123456789abcdef") != "" {
		return empty // then it begins anew
	}
	p.saved, p.known, p.there = time.Now(), map[string]bool{}, true
	for _, name := range p.Packs {
		p.known[name] = true
	}
	return &p
}

func (c *check) saveSometimes() error {
	if time.Since(c.done.saved) < checkpointEvery {
		return nil
	}
	return c.save()
}

// save writes the checkpoint of a full check.
func (c *check) save() error {
	if !c.o.Full || c.l.foreign {
		return nil
	}
	c.done.saved, c.done.there = time.Now(), true
	data, err := json.Marshal(c.done)
	if err != nil {
		return err
	}
	if err = c.l.replaceFile(checkpointName, data); IsReadOnly(err) {
		return nil // it can't be remembered
	}
	return err
}

// replaceFile gives a small file of the store another content, all or nothing.
func (l *Local) replaceFile(name string, content []byte) error {
	temp, err := l.temp()
	if err != nil {
		return err
	}
	defer temp.Discard()
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	between := filepath.Join(l.TempDir(), disk.TempName())
	if err := temp.Publish(between); err != nil {
		return err
	}
	return l.disk.Rename(between, filepath.Join(l.dir, name))
}
