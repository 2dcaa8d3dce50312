package core

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// NoRunError reports that a command that logs was called outside a run.
type NoRunError struct{}

func (*NoRunError) Error() string { return "not inside a run" }

// RunDir returns the folder of the run that this process is part of.
func RunDir() (string, error) {
	dir := os.Getenv("KEPT_RUN_DIR")
	if dir == "" {
		return "", &NoRunError{}
	}
	return dir, nil
}

// Log appends a parameter or a metric to the run that this process is part of.
func Log(e events.Event) error {
	dir, err := RunDir()
	if err != nil {
		return err
	}
	return events.Append(dir, e)
}

// LogArtifact names a file or folder, given from the current folder, as an
// artifact of the run that this process is part of. Without a name it is called
// as Add would call it: as the file, less its suffix.
func LogArtifact(name, file string) error {
	file, err := artifactPath(file)
	if err != nil {
		return err
	}
	if name == "" {
		name = addNames(file)[0]
	}
	if err := pipeline.CheckWrite(file); err != nil {
		return fmt.Errorf("log artifact %w", err)
	}
	if !lockfile.ValidName(name) {
		return &NameError{Name: name}
	}
	return Log(events.Artifact{Name: name, Path: file})
}

// artifactPath returns a path of the current folder as the experiment names it.
func artifactPath(name string) (string, error) {
	if _, err := RunDir(); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(os.Getenv("KEPT_EXPERIMENT"), abs)
	if err != nil || strings.HasPrefix(filepath.ToSlash(rel), "../") {
		return "", &ReservedError{Path: name, Why: "it is outside the folder of " + pipeline.Name}
	}
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return "", &NoFileError{Path: name}
	} else if err != nil {
		return "", err
	}
	return filepath.ToSlash(rel), nil
}
