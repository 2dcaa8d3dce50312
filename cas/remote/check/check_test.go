package check_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/check"
	"github.com/kept-dev/kept/cas/remote/mem"
)

// wrong is a remote in memory of which some methods are wrong.
type wrong struct {
	*mem.Remote
	put    func(ctx context.Context, name string, body io.ReaderAt, size int64) error
	get    func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	stat   func(ctx context.Context, name string) (int64, error)
	list   func(ctx context.Context, prefix string, each func(remote.Info) error) error
	delete func(ctx context.Context, name string) error
}

func (w *wrong) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	if w.put != nil {
		return w.put(ctx, name, body, size)
	}
	return w.Remote.Put(ctx, name, body, size)
}

func (w *wrong) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if w.get != nil {
		return w.get(ctx, name, offset, length)
	}
	return w.Remote.Get(ctx, name, offset, length)
}

func (w *wrong) Stat(ctx context.Context, name string) (int64, error) {
	if w.stat != nil {
		return w.stat(ctx, name)
	}
	return w.Remote.Stat(ctx, name)
}

func (w *wrong) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if w.list != nil {
		return w.list(ctx, prefix, each)
	}
	return w.Remote.List(ctx, prefix, each)
}

func (w *wrong) Delete(ctx context.Context, name string) error {
	if w.delete != nil {
		return w.delete(ctx, name)
	}
	return w.Remote.Delete(ctx, name)
}

// whole reads a body as something careless does: what can't be read is left out.
func whole(body io.ReaderAt, size int64) []byte {
	b, _ := io.ReadAll(io.NewSectionReader(body, 0, size))
	return b
}

func keep(m *mem.Remote, name string, b []byte) error {
	return m.Put(context.Background(), name, bytes.NewReader(b), int64(len(b)))
}

// defects are what a remote can get wrong, by what it is about.
var defects = map[string]func(m *mem.Remote, w *wrong){
	"put keeps what there is of a body that fails": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			err := m.Put(ctx, name, body, size)
			if err != nil && remote.CheckName(name) == nil && size > 0 {
				_ = keep(m, name, whole(body, size))
			}
			return err
		}
	},
	"put removes the old first": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			_ = m.Delete(ctx, name)
			return m.Put(ctx, name, body, size)
		}
	},
	"put takes a body that ends early": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			err := m.Put(ctx, name, body, size)
			if errors.Is(err, remote.ErrShort) {
				return keep(m, name, whole(body, size))
			}
			return err
		}
	},
	"put writes over": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			old, _ := readAll(m, name)
			if err := m.Put(ctx, name, body, size); err != nil || int64(len(old)) <= size {
				return err
			}
			return keep(m, name, append(whole(body, size), old[size:]...))
		}
	},
	"put does not replace": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			if _, err := m.Stat(ctx, name); err == nil {
				return nil
			}
			return m.Put(ctx, name, body, size)
		}
	},
	"put loses the last part": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			if size > 16<<20 {
				size = 16 << 20
			}
			return m.Put(ctx, name, body, size)
		}
	},
	"put takes any name": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			if remote.CheckName(name) != nil {
				return nil
			}
			return m.Put(ctx, name, body, size)
		}
	},
	"put does not know when to stop": func(m *mem.Remote, w *wrong) {
		w.put = func(ctx context.Context, name string, body io.ReaderAt, size int64) error {
			return m.Put(context.WithoutCancel(ctx), name, body, size)
		}
	},
	"get ignores the range": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, _, _ int64) (io.ReadCloser, error) {
			return m.Get(ctx, name, 0, -1)
		}
	},
	"get ignores the length": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, _ int64) (io.ReadCloser, error) {
			return m.Get(ctx, name, offset, -1)
		}
	},
	"get takes the length for the last byte": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			if length > 0 {
				length++
			}
			return m.Get(ctx, name, offset, length)
		}
	},
	"get gives what there is of a range": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			if size, err := m.Stat(ctx, name); err == nil && offset >= 0 && length > 0 {
				length = min(length, size-offset)
			}
			return m.Get(ctx, name, offset, length)
		}
	},
	"get of nothing is missing": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			if size, err := m.Stat(ctx, name); err == nil && size == 0 {
				return nil, &remote.Error{Op: "get", Remote: "mem://", Name: name, Kind: fs.ErrNotExist}
			}
			return m.Get(ctx, name, offset, length)
		}
	},
	"get says of its own that a file is missing": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			body, err := m.Get(ctx, name, offset, length)
			if errors.Is(err, fs.ErrNotExist) {
				err = errors.New("404")
			}
			return body, err
		}
	},
	"get gives plain errors": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			body, err := m.Get(ctx, name, offset, length)
			if errors.Is(err, fs.ErrNotExist) {
				err = fs.ErrNotExist
			}
			return body, err
		}
	},
	"get goes on after the context has ended": func(m *mem.Remote, w *wrong) {
		w.get = func(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
			if ctx.Err() != nil {
				return m.Get(ctx, name, offset, length)
			}
			return m.Get(context.WithoutCancel(ctx), name, offset, length)
		}
	},
	"stat says the size of a missing file": func(m *mem.Remote, w *wrong) {
		w.stat = func(ctx context.Context, name string) (int64, error) {
			size, err := m.Stat(ctx, name)
			if errors.Is(err, fs.ErrNotExist) {
				return 0, nil
			}
			return size, err
		}
	},
	"stat takes a folder for a file": func(m *mem.Remote, w *wrong) {
		w.stat = func(ctx context.Context, name string) (int64, error) {
			size, err := m.Stat(ctx, name)
			if errors.Is(err, fs.ErrNotExist) {
				_ = m.List(ctx, name+"/", func(remote.Info) error { err = nil; return nil })
			}
			return size, err
		}
	},
	"stat says that what is missing can be tried again": func(m *mem.Remote, w *wrong) {
		w.stat = func(ctx context.Context, name string) (int64, error) {
			size, err := m.Stat(ctx, name)
			if errors.Is(err, fs.ErrNotExist) {
				err = &remote.Error{Op: "stat", Remote: "mem://", Name: name, Kind: remote.ErrTemporary, Err: err}
			}
			return size, err
		}
	},
	"stat remembers": func(m *mem.Remote, w *wrong) {
		known := map[string]int64{}
		w.stat = func(ctx context.Context, name string) (int64, error) {
			if size, ok := known[name]; ok {
				return size, nil
			}
			size, err := m.Stat(ctx, name)
			if err == nil {
				known[name] = size
			}
			return size, err
		}
	},
	"list ends after a page": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			n := 0
			return m.List(ctx, prefix, func(i remote.Info) error {
				if n++; n > 1000 {
					return nil
				}
				return each(i)
			})
		}
	},
	"list repeats a file": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			return m.List(ctx, prefix, func(i remote.Info) error { return errors.Join(each(i), each(i)) })
		}
	},
	"list looks into no folders": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			return m.List(ctx, prefix, func(i remote.Info) error {
				if strings.Contains(strings.TrimPrefix(i.Name, prefix), "/") {
					return nil
				}
				return each(i)
			})
		}
	},
	"list takes a prefix for the beginning of a word": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			if err := remote.CheckPrefix(prefix); err != nil {
				return err
			}
			return m.List(ctx, "", func(i remote.Info) error {
				if strings.HasPrefix(i.Name, strings.TrimSuffix(prefix, "/")) {
					return each(i)
				}
				return ctx.Err()
			})
		}
	},
	"list names what is below the prefix": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			return m.List(ctx, prefix, func(i remote.Info) error {
				i.Name = strings.TrimPrefix(i.Name, prefix)
				return each(i)
			})
		}
	},
	"list has other sizes": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			return m.List(ctx, prefix, func(i remote.Info) error {
				i.Size++
				return each(i)
			})
		}
	},
	"list goes on after an error": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			var first error
			err := m.List(ctx, prefix, func(i remote.Info) error {
				if err := each(i); first == nil {
					first = err
				}
				return nil
			})
			return errors.Join(first, err)
		}
	},
	"list of what is not there is an error": func(m *mem.Remote, w *wrong) {
		w.list = func(ctx context.Context, prefix string, each func(remote.Info) error) error {
			n := 0
			err := m.List(ctx, prefix, func(i remote.Info) error { n++; return each(i) })
			if err == nil && n == 0 {
				return fs.ErrNotExist
			}
			return err
		}
	},
	"delete does nothing": func(m *mem.Remote, w *wrong) {
		w.delete = func(_ context.Context, name string) error { return remote.CheckName(name) }
	},
	"delete takes the name for a beginning": func(m *mem.Remote, w *wrong) {
		w.delete = func(ctx context.Context, name string) error {
			err := m.Delete(ctx, name)
			if err != nil {
				return err
			}
			return m.List(ctx, "", func(i remote.Info) error {
				if strings.HasPrefix(i.Name, name) {
					return m.Delete(ctx, i.Name)
				}
				return nil
			})
		}
	},
	"delete of what is missing is an error": func(m *mem.Remote, w *wrong) {
		w.delete = func(ctx context.Context, name string) error {
			if _, err := m.Stat(ctx, name); err != nil {
				return err
			}
			return m.Delete(ctx, name)
		}
	},
}

func readAll(r remote.Remote, name string) ([]byte, error) {
	body, err := r.Get(context.Background(), name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// likely returns the cases in an order in which the defect is soon found.
func likely(defect string) []check.Case {
	op, _, _ := strings.Cut(defect, " ")
	far := func(c check.Case) int {
		switch {
		case c.Large || strings.Contains(c.Name, "part") || strings.Contains(c.Name, "long") || strings.Contains(c.Name, "large") || strings.Contains(c.Name, "MiB"):
			return 2 // takes long
		case !strings.HasPrefix(c.Name, op):
			return 1
		}
		return 0
	}
	cases := check.Cases()
	slices.SortStableFunc(cases, func(a, b check.Case) int { return far(a) - far(b) })
	return cases
}

// TestDefects: for each thing that a remote can get wrong there is a case that says so.
func TestDefects(t *testing.T) {
	for name, spoil := range defects {
		t.Run(name, func(t *testing.T) {
			m := mem.New()
			w := &wrong{Remote: m}
			spoil(m, w)
			for _, c := range likely(name) {
				err := c.Run(t.Context(), check.Place{Remote: w, Open: func(context.Context) (remote.Remote, error) { return m, nil }})
				if reason, skipped := check.Skipped(err); skipped {
					t.Errorf("%s was skipped: %s", c.Name, reason)
				} else if err != nil {
					return
				}
			}
			t.Error("no case has found it")
		})
	}
}

// TestCases: there are many, each with a name of its own.
func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range check.Cases() {
		if seen[c.Name] {
			t.Errorf("two are %q", c.Name)
		}
		seen[c.Name] = true
	}
	if len(seen) < 45 {
		t.Errorf("there are %d", len(seen))
	}
}

// TestCleans: nothing is left of what the cases have done.
func TestCleans(t *testing.T) {
	m := mem.New()
	for _, c := range check.Cases() {
		if err := c.Run(t.Context(), check.Place{Remote: m}); err != nil {
			if _, skipped := check.Skipped(err); !skipped {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
	if err := m.List(t.Context(), "", func(i remote.Info) error { return fmt.Errorf("%s is left", i.Name) }); err != nil {
		t.Error(err)
	}
}

// TestReadOnly: what is only read is looked at as far as that goes.
func TestReadOnly(t *testing.T) {
	m := mem.New()
	w := &wrong{Remote: m}
	w.put = func(_ context.Context, name string, _ io.ReaderAt, _ int64) error {
		if err := remote.CheckName(name); err != nil {
			return err
		}
		return &remote.Error{Op: "put", Remote: "mem://", Name: name, Kind: remote.ErrReadOnly}
	}
	w.delete = func(ctx context.Context, name string) error { return w.put(ctx, name, nil, 0) }
	w.list = func(context.Context, string, func(remote.Info) error) error {
		return &remote.Error{Op: "list", Remote: "mem://", Kind: remote.ErrUnsupported}
	}
	for _, writer := range []remote.Remote{nil, m} {
		ran := 0
		for _, c := range check.Cases() {
			err := c.Run(t.Context(), check.Place{Remote: w, Writer: writer, Open: func(context.Context) (remote.Remote, error) { return w, nil }})
			if _, skipped := check.Skipped(err); skipped {
				continue
			}
			ran++
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
		if want := 3; ran < want || writer != nil && ran < 45 {
			t.Errorf("%d cases have run", ran)
		}
	}
}
