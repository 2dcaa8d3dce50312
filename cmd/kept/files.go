package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// newFile is a file that the user named, beside its place, to be renamed into it.
type newFile struct {
	target, temporary string
	// data is for a target that is no file, such as a pipe: nothing can take its place.
	data []byte
}

func prepareFile(path string, data []byte) (*newFile, error) {
	// A pipe or a device is written to. A link to a file is replaced and not
	// followed: it may have come with the repository.
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a folder")
	case err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return &newFile{target: path, data: data}, nil
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case err == nil && ofSystem(path):
		return &newFile{target: path, data: data}, nil
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %q", dir)
	} else if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%q is no folder", dir)
	}
	file, err := os.CreateTemp(dir, ".kept-*.tmp")
	if err != nil {
		return nil, inPlace(err, path)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return nil, errors.Join(inPlace(err, path), os.Remove(file.Name()))
	}
	return &newFile{target: path, temporary: file.Name()}, nil
}

// ofSystem reports whether a path that leads to a file belongs to the system, as
// /dev/stdout does where that is a file: root could put another file in its place,
// for every program of the machine.
func ofSystem(path string) bool {
	full, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	full = filepath.ToSlash(full)
	return strings.HasPrefix(full, "/proc/") || strings.HasPrefix(full, "/dev/") && !strings.HasPrefix(full, "/dev/shm/")
}

// placeError reports that a file could not be made where the user wanted it.
type placeError struct {
	dir string
	err error
}

func (e *placeError) Error() string { return e.err.Error() }

func (e *placeError) Unwrap() error { return e.err }

// inPlace names the file that the user named in place of the temporary one.
func inPlace(err error, path string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = &fs.PathError{Op: at.Op, Path: path, Err: at.Err}
	}
	return &placeError{filepath.Dir(path), err}
}

func (f *newFile) publish(ctx context.Context) error {
	if f.temporary != "" {
		if err := os.Rename(f.temporary, f.target); err != nil {
			return errors.Join(err, os.Remove(f.temporary))
		}
		return nil
	}
	file, err := openStream(ctx, f.target)
	if err != nil {
		return err
	}
	// Whoever reads a pipe may stop reading without closing it.
	stop := context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err = file.Write(f.data)
	return errors.Join(err, file.Close())
}

// pipePatience is how long the reader of a pipe may take to come.
const pipePatience = 5 * time.Second

// openStream opens a pipe or device. Opening a pipe that nobody reads would
// otherwise wait for ever, and for no signal.
func openStream(ctx context.Context, path string) (*os.File, error) {
	for start := time.Now(); ; {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) {
			return file, err
		}
		if time.Since(start) > pipePatience {
			return nil, errors.New("nothing reads from this pipe")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// writeFile puts data at path, all or nothing.
func writeFile(ctx context.Context, path string, data []byte) error {
	f, err := prepareFile(path, data)
	if err != nil {
		return err
	}
	return f.publish(ctx)
}

// discard removes what was prepared.
func discard(files []*newFile) []error {
	var failed []error
	for _, f := range files {
		if f.temporary != "" {
			failed = append(failed, os.Remove(f.temporary))
		}
	}
	return failed
}
