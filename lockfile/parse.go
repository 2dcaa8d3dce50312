package lockfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/kept-dev/kept/cas"
)

// Parse reads a lock. It accepts every TOML layout of a valid lock, CRLF
// included, and refuses what cannot be trusted: see the errors of this package.
// It never returns a lock of which a part was left out.
func Parse(data []byte) (*Lock, error) {
	if len(data) > MaxSize {
		return nil, &Error{Line: 1, Err: refuse(ErrLimit, "lock of %d bytes is larger than %d", len(data), MaxSize)}
	}
	if lock, ok := parseCanonical(data); ok {
		return lock, nil
	}
	return parseTOML(data)
}

// ParseUnspliced reads a lock as Parse does and leaves out the stages whose
// blocks nobody measured, which it returns by name, sorted. It is for replacing
// such blocks, never for using a lock that holds one.
func ParseUnspliced(data []byte) (lock *Lock, spliced []string, err error) {
	lock, err = Parse(data)
	if _, ok := errors.AsType[*SplicedError](err); !ok {
		return lock, nil, err
	}
	if lock, err = parseContent(data); err != nil {
		return nil, nil, err
	}
	for _, name := range sortedKeys(lock.Stages) {
		if s := lock.Stages[name]; s.Result != s.Digest(name) {
			spliced = append(spliced, name)
			delete(lock.Stages, name)
		}
	}
	return lock, spliced, nil
}

// parseTOML reads a lock in any layout.
func parseTOML(data []byte) (*Lock, error) {
	lock, err := parseContent(data)
	if err == nil {
		err = lock.checkResults()
	}
	if err != nil {
		return nil, locate(err, normalize(data))
	}
	return lock, nil
}

// parseContent is parseTOML without the check of the results.
func parseContent(data []byte) (*Lock, error) {
	data = normalize(data)
	if err := checkConflicts(data); err != nil {
		return nil, err
	}
	if err := checkText(data); err != nil {
		return nil, err
	}
	tree, err := decodeTOML(data)
	if err != nil {
		return nil, err
	}
	lock, err := decodeLock(tree)
	if err == nil {
		err = lock.checkPlaces()
	}
	if err != nil {
		return nil, locate(err, data)
	}
	return lock, nil
}

// Check reports why Parse would refuse what Marshal writes for the lock. A lock
// that was built from values of unknown origin is checked before it is written.
func (l *Lock) Check() error {
	if err := l.checkTypes(); err != nil {
		return err
	}
	_, err := Parse(l.Marshal())
	return err
}

// decodeTOML turns text that checkText accepted into maps, slices and scalars.
func decodeTOML(data []byte) (tree map[string]any, err error) {
	// The library panics where it takes a document for a bug of its own.
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Line: 1, Err: refuse(ErrSyntax, "not valid TOML: %v", r)}
		}
	}()
	if err := toml.Unmarshal(data, &tree); err != nil {
		line, text := 1, err.Error()
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			line, text = parse.Position.Line, parse.Message
		}
		return nil, &Error{Line: line, Err: refuse(ErrSyntax, "not valid TOML: %s", text)}
	}
	return tree, nil
}

// keyError is a refusal of one key; locate turns it into an Error with a line.
type keyError struct {
	path []string
	err  error
}

func (e *keyError) Error() string { return fmt.Sprintf("%s: %v", formatPath(e.path...), e.err) }
func (e *keyError) Unwrap() error { return e.err }

// locate finds the lines of refused keys. Only a refused lock pays for it.
func locate(err error, data []byte) error {
	if at, ok := errors.AsType[*keyError](err); ok {
		return &Error{Line: max(1, Line(data, at.path...)), Key: formatPath(at.path...), Err: at.err}
	}
	if spliced, ok := errors.AsType[*SplicedError](err); ok {
		spliced.Line = Line(data, "stage", spliced.Stage, "result")
	}
	return err
}

func decodeLock(tree map[string]any) (*Lock, error) {
	if path := tooDeep(tree, 0); path != nil {
		slices.Reverse(path)
		return nil, &keyError{path, refuse(ErrLimit, "nested more than %d levels deep", MaxDepth)}
	}
	top := &fields{table: tree}
	top.version()
	lock := New()
	decodeEach(top, "artifact", lock.Artifacts, checkName, (*fields).artifact)
	decodeEach(top, "stage", lock.Stages, checkName, (*fields).stage)
	lock.Unknown = top.rest()
	if top.err != nil {
		return nil, top.err
	}
	return lock, nil
}

// tooDeep returns the path, in reverse and without array levels, of a value
// below more than MaxDepth keys and array levels, and nil where there is none.
func tooDeep(v any, depth int) (path []string) {
	if depth > MaxDepth {
		return []string{}
	}
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			// Of several, the first by name, so that the error is the same every time.
			if below := tooDeep(value, depth+1); below != nil && (path == nil || key < path[len(path)-1]) {
				path = append(below, key)
			}
		}
	case []any:
		for i := 0; i < len(v) && path == nil; i++ {
			path = tooDeep(v[i], depth+1)
		}
	case []map[string]any:
		for i := 0; i < len(v) && path == nil; i++ {
			path = tooDeep(v[i], depth+1)
		}
	}
	return path
}

// fields takes the known keys out of a table one by one; what is left is
// unknown. The first refusal sticks, so that decoding reads as a list of keys.
type fields struct {
	path  []string
	table map[string]any
	err   error
}

// fail records the refusal of the key at path below the table.
func (f *fields) fail(err error, path ...string) {
	if f.err == nil {
		f.err = &keyError{slices.Concat(f.path, path), err}
	}
}

func (f *fields) version() {
	v, ok := f.table["version"]
	number, isInt := v.(int64)
	switch {
	case !ok:
		f.fail(refuse(ErrVersion, "version is missing"))
	case !isInt:
		f.fail(refuse(ErrVersion, "version is %s, want an integer", describe(v)), "version")
	case number < 1:
		f.fail(refuse(ErrVersion, "version %d is none", number), "version")
	case number > Version:
		f.fail(&VersionError{Version: number}, "version")
	}
	delete(f.table, "version")
}

// take removes a key and returns its value where it has type T. Absence is a
// refusal only where the key is required.
func take[T any](f *fields, key, want string, required bool) (value T, ok bool) {
	v, present := f.table[key]
	if !present {
		if required {
			f.fail(refuse(ErrValue, "%s is missing", key))
		}
		return value, false
	}
	delete(f.table, key)
	value, ok = v.(T)
	if !ok {
		f.fail(refuse(ErrValue, "%s where %s belongs", describe(v), want), key)
	}
	return value, ok
}

func (f *fields) text(key string, required bool) string {
	s, _ := take[string](f, key, "a string", required)
	return s
}

func (f *fields) flag(key string) bool {
	b, _ := take[bool](f, key, "a boolean", false)
	return b
}

func (f *fields) count(key string, required bool) (n int64, ok bool) {
	n, ok = take[int64](f, key, "an integer", required)
	if n < 0 {
		f.fail(refuse(ErrValue, "%d is negative", n), key)
	}
	return n, ok
}

func (f *fields) digest(key string, required bool) cas.Digest {
	s, ok := take[string](f, key, "a digest", required)
	if !ok {
		return cas.Digest{}
	}
	d, err := cas.ParseDigest(s)
	if err == nil && d.IsZero() {
		err = refuse(cas.ErrDigest, "the digest of 64 zeros stands for none")
	}
	if err != nil {
		f.fail(err, key)
	}
	return d
}

// tables takes a key that holds tables by name and calls each for every one, in order.
func (f *fields) tables(key string, each func(name string, entry *fields)) {
	table, _ := take[map[string]any](f, key, "a table", false)
	for _, name := range sortedKeys(table) {
		entry, ok := table[name].(map[string]any)
		if !ok {
			f.fail(refuse(ErrValue, "%s where a table belongs", describe(table[name])), key, name)
			return
		}
		sub := &fields{path: slices.Concat(f.path, []string{key, name}), table: entry}
		each(name, sub)
		if sub.err != nil && f.err == nil {
			f.err = sub.err
		}
	}
}

func decodeEach[T any](f *fields, key string, into map[string]T, check func(string) error, decode func(*fields) T) {
	f.tables(key, func(name string, entry *fields) {
		if err := check(name); err != nil {
			entry.fail(err)
		}
		into[name] = decode(entry)
	})
}

// values takes a key that holds values by dotted key.
func (f *fields) values(key string, check func(Value) error) map[string]Value {
	table, _ := take[map[string]any](f, key, "a table", false)
	for _, name := range sortedKeys(table) {
		table[name] = plainArrays(table[name])
		if err := check(table[name]); err != nil {
			f.fail(err, key, name)
		}
	}
	return orNil(table)
}

// rest returns what was not taken, to be written back as it is.
func (f *fields) rest() map[string]any {
	for _, key := range sortedKeys(f.table) {
		f.table[key] = plainArrays(f.table[key])
		if err := checkPlain(f.table[key], true); err != nil {
			f.fail(err, key)
		}
	}
	return orNil(f.table)
}

// plainArrays turns arrays of tables, which TOML can also write with [[…]], into plain arrays.
func plainArrays(v any) any {
	switch v := v.(type) {
	case []map[string]any:
		plain := make([]any, len(v))
		for i, table := range v {
			plain[i] = plainArrays(table)
		}
		return plain
	case []any:
		for i := range v {
			v[i] = plainArrays(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plainArrays(v[key])
		}
	}
	return v
}

// orNil keeps one representation of "no entries".
func orNil[M ~map[string]E, E any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (f *fields) stage() *Stage {
	s := &Stage{
		Result:    f.digest("result", true),
		Command:   f.text("command", true),
		Artifacts: map[string]*Artifact{},
		Code:      map[string]*Input{},
		Inputs:    map[string]*Input{},
	}
	decodeEach(f, "artifact", s.Artifacts, checkName, (*fields).artifact)
	decodeEach(f, "code", s.Code, checkInputPath, (*fields).input)
	s.Environment = f.environment()
	s.History = f.history()
	decodeEach(f, "input", s.Inputs, checkInputPath, (*fields).input)
	s.Logged = f.values("logged", checkParam)
	s.Metrics = f.values("metrics", checkMetric)
	s.Params = f.values("params", checkParam)
	for _, key := range sortedKeys(s.Logged) {
		if _, both := s.Params[key]; both {
			f.fail(refuse(ErrValue, "a parameter is logged or out of a file, not both"), "logged", key)
		}
	}
	s.Unknown = f.rest()
	s.Artifacts, s.Code, s.Inputs = orNil(s.Artifacts), orNil(s.Code), orNil(s.Inputs)
	return s
}

func checkParam(v Value) error { return checkPlain(v, false) }

func checkMetric(v Value) error {
	switch v.(type) {
	case int64, float64:
		return nil
	}
	return refuse(ErrValue, "metric is %s, want a number", describe(v))
}

func (f *fields) artifact() *Artifact {
	a := &Artifact{Path: f.text("path", true), Hash: f.digest("hash", true)}
	a.Size, _ = f.count("size", true)
	a.Files, a.Folder = f.count("files", false)
	a.Executable = f.flag("executable")
	if err := cas.CheckPath(a.Path); err != nil {
		f.fail(err, "path")
	}
	if a.Folder && a.Executable {
		f.fail(refuse(ErrValue, "a folder is not executable"), "executable")
	}
	a.Unknown = f.rest()
	return a
}

func (f *fields) input() *Input {
	i := &Input{Hash: f.digest("hash", true)}
	i.Size, i.Sized = f.count("size", false)
	i.Files, i.Folder = f.count("files", false)
	i.Unknown = f.rest()
	return i
}

func (f *fields) history() map[string]cas.Digest {
	table, _ := take[map[string]any](f, "history", "a table", false)
	sub := &fields{path: slices.Concat(f.path, []string{"history"}), table: table}
	history := make(map[string]cas.Digest, len(table))
	for _, metric := range sortedKeys(table) {
		history[metric] = sub.digest(metric, true)
	}
	if f.err == nil {
		f.err = sub.err
	}
	return orNil(history)
}

func (f *fields) environment() *Environment {
	table, ok := take[map[string]any](f, "environment", "a table", false)
	if !ok {
		return nil
	}
	sub := &fields{path: slices.Concat(f.path, []string{"environment"}), table: table}
	e := &Environment{
		Packages: sub.digest("packages", false),
		Platform: sub.text("platform", false),
		Runtime:  sub.text("runtime", false),
		Files:    map[string]cas.Digest{},
	}
	unknown := map[string]map[string]any{}
	sub.tables("file", func(path string, entry *fields) {
		if err := checkInputPath(path); err != nil {
			entry.fail(err)
		}
		e.Files[path] = entry.digest("hash", true)
		if rest := entry.rest(); rest != nil {
			unknown[path] = rest
		}
	})
	e.Unknown = sub.rest()
	e.Files, e.UnknownOfFiles = orNil(e.Files), orNil(unknown)
	if f.err == nil {
		f.err = sub.err
	}
	if len(e.table()) == 0 {
		return nil
	}
	return e
}

// checkInputPath refuses a path that no input may have. Unlike artifacts,
// inputs are only read, and may lie beside the experiment's folder.
func checkInputPath(path string) error {
	below := path
	for strings.HasPrefix(below, "../") {
		below = below[len("../"):]
	}
	return cas.CheckPath(below)
}
