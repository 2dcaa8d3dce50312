package cas

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/cas/remote"
)

// The groups of one request are read from the first byte to the last, in whatever order they
// are needed: one without bytes, such as an empty file's, comes before the one that begins there.
func TestRunIsInOrder(t *testing.T) {
	at := func(offset int64, stored uint32) *arriving {
		return &arriving{Group: pack.Group{Offset: offset, Stored: stored, Plain: stored}}
	}
	needed := []*arriving{at(16, 10), at(16, 0), at(40, 5), at(26, 14), at(40, 0)}
	end := int64(16)
	for i, g := range nextRun(needed) {
		if g.Offset < end {
			t.Errorf("group %d begins at %d, and the one before it ends at %d", i, g.Offset, end)
		}
		end = g.end()
	}
	if end != 45 {
		t.Errorf("the run ends at %d, want 45", end)
	}
}

// zeros is a remote whose files have nothing else.
type zeros struct{ remote.Remote }

func (zeros) Get(_ context.Context, _ string, _, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeros{}, n)), nil
}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// However large groups are, in whatever order they are needed, and whichever of them are held for
// chunks to come: nobody waits for a group for which there will never be room.
func TestRoomForTheLargestGroups(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 300 << 10, 1 << 20, 15 << 20, pack.MaxGroup}
	for round := range 4 {
		table := &farTable{Table: &pack.Table{}}
		var groups []*arriving
		for range 40 {
			n := sizes[rng.IntN(len(sizes))]
			g := &arriving{Group: pack.NewGroup(uint8(codec.Raw), n, make([]byte, n)), table: table, ready: make(chan struct{}), uses: rng.IntN(2)}
			if len(groups) > 0 {
				g.Offset = groups[len(groups)-1].end()
			}
			groups = append(groups, g)
		}
		if round%2 == 1 {
			rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		}
		for i, g := range groups {
			g.number = i
		}
		f := &fetch{wire: newWire(zeros{}, TransferOptions{Jobs: 1 + 2*round})}
		r := &receiver{inflow: f.open(ctx, groups), groups: groups}
		if err := r.upTo(len(groups)); err != nil {
			t.Fatalf("round %d, after %d groups: %v", round, r.next, err)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
}
