package cas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// TestTogether has goroutines put, read and collect at random in one folder,
// through two Locals as two processes would. A model has what is in use: it must
// be there and right at any time. Run it with -race.
func TestTogether(t *testing.T) {
	length := 2 * time.Second
	if testing.Short() {
		length = 500 * time.Millisecond
	}
	seed := uint64(time.Now().UnixNano() % 1_000_000)
	t.Logf("seed %d", seed)
	m := &together{t: t, used: map[int]int{}}
	dir := memoryDir(t)
	for range 2 {
		m.stores = append(m.stores, openLocal(t, dir).Local)
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for i := range 8 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				m.step(r)
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil && !t.Failed() {
			m.look(ctx)
		}
	})
	all.Wait()
	m.checkAll()
	t.Logf("%d puts, %d reads, %d thrown away, %d collections", m.puts, m.reads, m.thrown, m.collections)
}

type together struct {
	t      *testing.T
	stores []*cas.Local

	mu sync.RWMutex
	// used counts who needs each content.
	used                             map[int]int
	puts, reads, thrown, collections int
}

// togetherContents are few, so that what is collected is put at the same time.
const togetherContents = 40

func togetherContent(i int) []byte {
	switch i % 4 {
	case 0:
		return storetest.Random(uint64(i), 300_000) // chunks
	case 1:
		return append(storetest.Random(0, 290_000), byte(i)) // the same chunks, but the last
	case 2:
		return storetest.Text(uint64(i), 1000*i)
	}
	return storetest.Random(uint64(i), 10*i)
}

func (m *together) step(r *rand.Rand) {
	s := m.stores[r.IntN(len(m.stores))]
	switch r.IntN(6) {
	case 0, 1:
		m.put(s, r.IntN(togetherContents))
	case 2:
		m.batch(s, r)
	case 3, 4:
		m.read(s, r)
	default:
		m.throwAway(r)
	}
}

// put keeps one content, and the store from collecting until it is in use.
func (m *together) put(s *cas.Local, i int) {
	release, err := s.Use(background)
	if err != nil {
		m.t.Error(err)
		return
	}
	defer release()
	content := togetherContent(i)
	if d, _, err := s.Put(background, bytes.NewReader(content)); err != nil || d != cas.Sum(content) {
		m.t.Errorf("Put = %s, %v", d, err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used[i]++
	m.puts++
}

// batch keeps some contents, of which it only asks for those that are there.
func (m *together) batch(s *cas.Local, r *rand.Rand) {
	b := s.Batch()
	defer b.Close()
	var list []int
	for range 1 + r.IntN(6) {
		i := r.IntN(togetherContents)
		content := togetherContent(i)
		has, err := b.Has(background, cas.Sum(content))
		if err == nil && !has {
			_, err = b.PutBytes(background, content)
		}
		if err != nil {
			m.t.Error(err)
			return
		}
		list = append(list, i)
	}
	if r.IntN(5) == 0 {
		return
	}
	if err := b.Commit(background); err != nil {
		m.t.Error(err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range list {
		m.used[i]++
	}
	m.puts += len(list)
}

// read reads what is in use and stays so meanwhile.
func (m *together) read(s *cas.Local, r *rand.Rand) {
	i := r.IntN(togetherContents)
	m.mu.Lock()
	there := m.used[i] > 0
	if there {
		m.used[i]++
		m.reads++
	}
	m.mu.Unlock()
	if !there {
		return
	}
	wantContent(m.t, s, togetherContent(i))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used[i]--
}

func (m *together) throwAway(r *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := r.IntN(togetherContents); m.used[i] > 0 {
		m.used[i]--
		m.thrown++
	}
}

// live lists what is in use at this moment.
func (m *together) live(_ context.Context, each func(cas.Digest) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i, n := range m.used {
		if n > 0 {
			if err := each(cas.Sum(togetherContent(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

// look collects what is not in use, or checks what there is.
func (m *together) look(ctx context.Context) {
	s := m.stores[m.collections%len(m.stores)]
	_, err := s.Collect(ctx, cas.CollectOptions{Live: m.live})
	if err == nil && m.collections%5 == 0 {
		var found *cas.Checked
		if found, err = s.Check(ctx, cas.CheckOptions{Full: true}); err == nil && len(found.Damaged) > 0 {
			err = fmt.Errorf("damage: %v", found.Damaged)
		}
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, cas.ErrInUse) {
		m.t.Error("collect: ", err)
	}
	m.collections++
}

func (m *together) checkAll() {
	fresh := openLocal(m.t, filepath.Dir(m.stores[0].TempDir()))
	for i, n := range m.used {
		if n > 0 {
			if b, err := readAll(fresh, cas.Sum(togetherContent(i))); err != nil || !bytes.Equal(b, togetherContent(i)) {
				m.t.Errorf("content %d: %d bytes, %v", i, len(b), err)
			}
		}
	}
	found, err := fresh.Check(background, cas.CheckOptions{Objects: m.live, Full: true})
	if err != nil || len(found.Damaged) > 0 || len(found.Missing) > 0 {
		m.t.Errorf("Check finds %v, %v", found, err)
	}
	for _, name := range listFiles(m.t, fresh.dir) {
		if len(name) > 4 && (name[:4] == "tmp/" || name[:4] == "quar") {
			m.t.Errorf("there is a stray %s", name)
		}
	}
}
