package core

import (
	"maps"
	"slices"

	"github.com/kept-dev/kept/lockfile"
)

// namedArtifact is an artifact of a lock with the names that lead to it.
type namedArtifact struct {
	*lockfile.Artifact
	// Stage is empty for data kept without a stage.
	Stage, Name string
}

// artifactsOf lists all artifacts of a lock, those of stages first, by name.
func artifactsOf(lock *lockfile.Lock) []namedArtifact {
	var list []namedArtifact
	for _, stage := range slices.Sorted(maps.Keys(lock.Stages)) {
		arts := lock.Stages[stage].Artifacts
		for _, name := range slices.Sorted(maps.Keys(arts)) {
			list = append(list, namedArtifact{arts[name], stage, name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lock.Artifacts)) {
		list = append(list, namedArtifact{lock.Artifacts[name], "", name})
	}
	return list
}
