package cas

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// known is what a clone remembers of a remote:
//
//	tables/<64 hex>   the table of a pack that was there
//	pushed            the digests of objects that were there, one a line
//
// All of it is advice. A table has the hash of its bytes as its name, so one that is
// wrong is not believed; that a pack is still there the remote has to say. What can't be
// read or written costs requests, and is no error.
type known struct {
	dir string // "" is none

	mu sync.Mutex
	// tables are those that this transfer has seen and could not write down.
	tables map[pack.Name]*pack.Table
}

const (
	tablesDir  = "tables"
	pushedFile = "pushed"
	// maxPushed bounds what is read of the file: a million objects.
	maxPushed = 65 << 20
)

func openKnown(dir string) *known { return &known{dir: dir, tables: map[pack.Name]*pack.Table{}} }

func (k *known) path(name pack.Name) string { return filepath.Join(k.dir, tablesDir, name.String()) }

// table returns the table of a pack, or nil where it is not known.
func (k *known) table(name pack.Name) *pack.Table {
	k.mu.Lock()
	t := k.tables[name]
	k.mu.Unlock()
	if t != nil || k.dir == "" {
		return t
	}
	b, err := readFile(k.path(name), maxTable)
	if err != nil {
		return nil
	}
	if t, err = pack.ParseTable(name, b); err != nil {
		os.Remove(k.path(name)) // if it can't be removed it is not believed the next time either
		return nil
	}
	return t
}

// names returns the packs whose tables are known.
func (k *known) names() []pack.Name {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []pack.Name
	for name := range k.tables {
		names = append(names, name)
	}
	if k.dir == "" {
		return names
	}
	entries, err := os.ReadDir(filepath.Join(k.dir, tablesDir))
	if err != nil {
		return names
	}
	for _, e := range entries {
		if name, err := pack.ParseName(e.Name()); err == nil && k.tables[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// learn notes that the remote has a pack.
func (k *known) learn(t *pack.Table) {
	if k.dir != "" && writeFile(k.path(t.Name()), t.Bytes()) == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tables[t.Name()] = t
}

// forget notes that the remote does not have a pack.
func (k *known) forget(name pack.Name) {
	k.mu.Lock()
	delete(k.tables, name)
	k.mu.Unlock()
	if k.dir != "" {
		os.Remove(k.path(name))
	}
}

// pushed notes that the remote has objects.
func (k *known) pushed(list []Digest) {
	if k.dir == "" || len(list) == 0 {
		return
	}
	there, err := Pushed(k.dir, list)
	if err != nil {
		return
	}
	var b []byte
	for _, d := range list {
		if !there[d] {
			there[d] = true
			b = append(b, d.Hex()...)
			b = append(b, '\n')
		}
	}
	if len(b) > 0 {
		_ = appendFile(filepath.Join(k.dir, pushedFile), b)
	}
}

// Pushed returns those of want of which known (see TransferOptions.Known) says that the
// remote has them. It asks nobody: it is advice.
func Pushed(known string, want []Digest) (map[Digest]bool, error) {
	there := map[Digest]bool{}
	b, err := readFile(filepath.Join(known, pushedFile), maxPushed)
	if errors.Is(err, fs.ErrNotExist) || known == "" {
		return there, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was pushed: %w", err)
	}
	wanted := map[Digest]bool{}
	for _, d := range want {
		wanted[d] = true
	}
	for line := range bytes.Lines(b) {
		var d Digest
		line = bytes.TrimSuffix(line, []byte{'\n'})
		if len(line) != 2*len(d) {
			continue
		}
		if _, err := hex.Decode(d[:], line); err == nil && wanted[d] {
			there[d] = true
		}
	}
	return there, nil
}

// readFile reads a file of at most so many bytes.
func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%q: it has %d bytes, or is no file", name, info.Size())
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// writeFile makes a file, all of it or nothing. After a power cut it may be anything.
func writeFile(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), disk.DirPerm); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), disk.TempName())
	err := os.WriteFile(temp, b, 0o600)
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

func appendFile(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), disk.DirPerm); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
