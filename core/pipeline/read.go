package pipeline

import (
	"fmt"

	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/lockfile"
)

// ReadParams returns the parameters that the stage's files give it, by dotted
// key. files holds the bytes of all files in Params, by path. A key that two
// files give is an error: the lock could not tell them apart.
func (s *Stage) ReadParams(files map[string][]byte) (map[string]lockfile.Value, error) {
	all, err := read(s.Params, files)
	return values.Params(all), err
}

// ReadMetrics is ReadParams for the stage's metrics, which must be numbers.
func (s *Stage) ReadMetrics(files map[string][]byte) (map[string]lockfile.Value, error) {
	all, err := read(s.Metrics, files)
	if err != nil {
		return nil, err
	}
	return values.Metrics(all)
}

func read(sources []Source, files map[string][]byte) (map[string]lockfile.Value, error) {
	all := map[string]lockfile.Value{}
	from := map[string]string{}
	parsed := map[string]map[string]lockfile.Value{}
	for _, source := range sources {
		file, ok := parsed[source.File]
		if !ok {
			data, ok := files[source.File]
			if !ok {
				return nil, &values.FileError{Name: source.File, Err: fmt.Errorf("file is missing")}
			}
			var err error
			if file, err = values.Parse(source.File, data); err != nil {
				return nil, err
			}
			parsed[source.File] = file
		}
		if source.Part != "" {
			var err error
			if file, err = values.Part(file, source.Part); err != nil {
				return nil, &values.FileError{Name: source.File, Err: err}
			}
		}
		for key, value := range file {
			if other, ok := from[key]; ok && other != source.File {
				return nil, &values.FileError{Name: source.File, Err: fmt.Errorf("%q is in %s, too", key, other)}
			}
			all[key], from[key] = value, source.File
		}
	}
	return all, nil
}
