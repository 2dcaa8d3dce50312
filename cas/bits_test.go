package cas_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/storetest"
)

// faultBits returns how many bits of a file are to be changed, one after the other.
func faultBits(t *testing.T, usual int) int {
	text := os.Getenv("FAULTS_BITS")
	switch text {
	case "":
		return usual
	case "all":
		return math.MaxInt
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("FAULTS_BITS: ", err)
	}
	return n
}

// bitDisk is a disk on which one file is what this process has in memory.
type bitDisk struct {
	disk.FS
	name    string
	content []byte
	info    fs.FileInfo
}

func newBitDisk(t *testing.T, name string) *bitDisk {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return &bitDisk{disk.Foreign, name, content, info}
}

func (d *bitDisk) flip(bit int64) { d.content[bit/8] ^= 1 << (bit % 8) }

func (d *bitDisk) Open(name string) (disk.File, error) {
	if name == d.name {
		return &bitFile{bytes.NewReader(d.content), d}, nil
	}
	return d.FS.Open(name)
}

type bitFile struct {
	*bytes.Reader
	disk *bitDisk
}

func (f *bitFile) Close() error                 { return nil }
func (f *bitFile) Stat() (fs.FileInfo, error)   { return f.disk.info, nil }
func (f *bitFile) Map() ([]byte, func(), error) { return f.disk.content, func() {}, nil }

// bitKind is an object of 64 KiB, and what of a store's file is changed.
type bitKind struct {
	name string
	// put keeps the object.
	put func(t *testing.T, s *cas.Local) cas.Digest
	// method is how it has to be stored for the case to be what it is called.
	method codec.Method
	nodes  bool
	// around says that it is all but the groups: header, table and trailer.
	around bool
	// index says that it is an index: nothing gets lost with one.
	index bool
}

const anyMethod codec.Method = 255

func bitContent(content []byte) func(*testing.T, *cas.Local) cas.Digest {
	return func(t *testing.T, s *cas.Local) cas.Digest { return put(t, s, content)[0] }
}

// floats returns 64 KiB of normally distributed numbers, each as write has it.
func floats(write func(b []byte, x float64) []byte) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for len(b) < 64<<10 {
		b = write(b, r.NormFloat64()*0.02)
	}
	return b[:64<<10]
}

// bitParts are the parts of a content whose manifest has 64 KiB. They are small:
// what is to be changed is the manifest.
func bitParts() [][]byte {
	parts := make([][]byte, (64<<10-16)/40)
	for i := range parts {
		parts[i] = noise(uint64(i), 16)
	}
	return parts
}

func putParts(nodeParts int) func(*testing.T, *cas.Local) cas.Digest {
	return func(t *testing.T, s *cas.Local) cas.Digest {
		s.SetSizes(64<<20, nodeParts)
		d, err := s.PutParts(background, bitParts())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// putMany keeps so many contents that their records have 64 KiB, in so many packs.
func putMany(packs int) func(*testing.T, *cas.Local) cas.Digest {
	return func(t *testing.T, s *cas.Local) (first cas.Digest) {
		const all = 1092
		for p := range packs {
			var contents [][]byte
			for i := range all / packs {
				contents = append(contents, noise(uint64(p*all+i), 30))
			}
			first = put(t, s, contents...)[0]
		}
		return first
	}
}

var bitKinds = []bitKind{
	{name: "a blob", put: bitContent(storetest.Random(1, 64<<10))},
	{name: "text", put: bitContent(storetest.Text(1, 64<<10)), method: codec.Zstd},
	{name: "int8", put: bitContent(floats(func(b []byte, x float64) []byte { return append(b, byte(int8(x*1500))) })), method: codec.Planes},
	{name: "bfloat16", put: bitContent(floats(func(b []byte, x float64) []byte {
		return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(float32(x))>>16))
	})), method: codec.Planes},
	{name: "float32", put: bitContent(floats(func(b []byte, x float64) []byte {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	})), method: codec.Planes},
	{name: "float64", put: bitContent(floats(func(b []byte, x float64) []byte {
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	})), method: codec.Planes},
	{name: "a manifest", put: putParts(4096), method: anyMethod},
	{name: "inner nodes of a manifest", put: putParts(128), method: anyMethod, nodes: true},
	{name: "header, table and trailer", put: putMany(1), around: true},
	{name: "an index", put: putMany(9), index: true},
}

// TestEveryBit changes bits of what is stored, one after the other, and reads:
// what comes is an error, or of an index the right content. Nothing else gets
// into a working tree, either. With
//
//	FAULTS_BITS=all go test ./cas -run TestEveryBit$ -v -timeout 0
//
// it is all bits of an object of each kind, and 10,000 of them into a working tree.
func TestEveryBit(t *testing.T) {
	bits := faultBits(t, 300)
	placings := max(10_000/len(bitKinds), 1)
	if bits < math.MaxInt {
		placings = bits / 10
	}
	for _, k := range bitKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b := newBitCase(t, k)
			b.read(t, -1)
			chosen, all := b.choose(bits)
			for i, bit := range chosen {
				b.disk.flip(bit)
				b.read(t, bit)
				if i%max(len(chosen)/placings, 1) == 0 {
					b.place(t, bit)
				}
				b.disk.flip(bit)
				if t.Failed() {
					return
				}
			}
			b.read(t, -1)
			t.Logf("%d of %d bits, %d of them on the way into a working tree", len(chosen), all, b.placed)
		})
	}
}

type bitCase struct {
	kind    bitKind
	dir     string
	disk    *bitDisk
	ranges  [][2]int64 // of bytes to be changed
	digest  cas.Digest
	size    int64
	store   *cas.Local
	records int64 // where they begin
	root    string
	placed  int
}

func newBitCase(t *testing.T, k bitKind) *bitCase {
	dir := memoryDir(t)
	s := openLocal(t, dir).Local
	b := &bitCase{kind: k, dir: dir, digest: k.put(t, s), root: memoryDir(t)}
	var err error
	if b.size, err = s.Stat(background, b.digest); err != nil {
		t.Fatal(err)
	}
	file, method, groups, err := s.Stored(b.digest, k.nodes)
	if err != nil || method != k.method && k.method != anyMethod {
		t.Fatalf("stored by method %d, %v; want %d", method, err, k.method)
	}
	switch {
	case k.index:
		names, err := filepath.Glob(filepath.Join(dir, "index", "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("indexes %v, %v", names, err)
		}
		b.disk = newBitDisk(t, names[0])
		b.ranges = [][2]int64{{0, int64(len(b.disk.content))}}
		b.records = 24 + 32*int64(binary.LittleEndian.Uint32(b.disk.content[16:]))
	case k.around:
		b.disk = newBitDisk(t, file)
		end := int64(len(b.disk.content))
		b.ranges = [][2]int64{{0, 16}, {int64(binary.LittleEndian.Uint64(b.disk.content[end-64:])), end}}
	default:
		b.disk, b.ranges = newBitDisk(t, file), groups
	}
	return b
}

// choose returns n of the bits that can be changed, or all of them.
func (b *bitCase) choose(n int) (bits []int64, all int) {
	for _, r := range b.ranges {
		for bit := 8 * r[0]; bit < 8*r[1]; bit++ {
			bits = append(bits, bit)
		}
	}
	all = len(bits)
	if n < all {
		r := rand.New(rand.NewPCG(1, 1))
		r.Shuffle(all, func(i, j int) { bits[i], bits[j] = bits[j], bits[i] })
		bits = bits[:n]
	}
	return bits, all
}

// open returns the store as it looks now. Where only groups are changed it is the
// one from before: the table that it remembers is right.
func (b *bitCase) open(t *testing.T) *cas.Local {
	if b.store != nil && !b.kind.around && !b.kind.index {
		b.store.Forget()
		return b.store
	}
	s, err := cas.OpenForeignOn(b.disk, b.dir)
	if err != nil {
		t.Fatal(err)
	}
	b.store = s
	return s
}

// wanted returns the content to be read when a bit is changed: of an index that
// of its record.
func (b *bitCase) wanted(bit int64) cas.Digest {
	at := (bit/8 - b.records) / 60
	if !b.kind.index || bit < 8*b.records || b.records+60*at+32 > int64(len(b.disk.content))-32 {
		return b.digest
	}
	var d cas.Digest
	copy(d[:], b.disk.content[b.records+60*at:])
	if bit/8 < b.records+60*at+32 { // of the key as it was
		d[bit/8-b.records-60*at] ^= 1 << (bit % 8)
	}
	return d
}

// read expects an error if a bit was changed; -1 is none.
func (b *bitCase) read(t *testing.T, bit int64) {
	t.Helper()
	d := b.wanted(bit)
	content, err := readAll(b.open(t), d)
	switch whole := err == nil && cas.Sum(content) == d; {
	case err == nil && !whole:
		t.Errorf("bit %d: another content without an error", bit)
	case whole != (bit < 0 || b.kind.index):
		t.Errorf("bit %d: read: %v", bit, err)
	case err != nil && !isMissing(err) && asCorrupt(err) == nil:
		t.Errorf("bit %d: %v; want a CorruptError or a MissingError", bit, err)
	}
}

// place puts the content into a working tree, where nothing may come that is not right.
func (b *bitCase) place(t *testing.T, bit int64) {
	t.Helper()
	b.placed++
	d := b.wanted(bit)
	s := b.open(t)
	size, err := s.Stat(background, d)
	if err != nil {
		size = b.size // as a lock has it
	}
	root := filepath.Join(b.root, "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	placer := cas.NewPlacer(root, filepath.Join(b.root, "tmp"))
	_, err = placer.File(background, s, "model", d, size, false)
	placed, gone := os.ReadFile(filepath.Join(root, "model"))
	switch {
	case (err == nil) != b.kind.index:
		t.Errorf("bit %d: place: %v", bit, err)
	case err == nil && (gone != nil || cas.Sum(placed) != d):
		t.Errorf("bit %d: placed are %d bytes, %v", bit, len(placed), gone)
	case err != nil && !errors.Is(gone, fs.ErrNotExist):
		t.Errorf("bit %d: %d bytes are placed although %v", bit, len(placed), err)
	}
	for _, dir := range []string{"tmp", "root"} {
		if left, _ := os.ReadDir(filepath.Join(b.root, dir)); len(left) > 0 && (dir == "tmp" || err != nil) {
			t.Errorf("bit %d: left in %s: %v", bit, dir, left)
		}
	}
}
