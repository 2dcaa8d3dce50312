package environment

import (
	"os"
	"path/filepath"
	"slices"
)

// requirementFiles are the files in which people and tools write down what to
// install. All of them are text of a known name; setup.py and pyproject.toml
// are left out because they hold much that installs nothing.
var requirementFiles = []string{
	"Pipfile.lock",
	"conda-lock.yml",
	"conda-lock.yaml",
	"environment.yaml",
	"environment.yml",
	"pdm.lock",
	"pixi.lock",
	"poetry.lock",
	"pylock.toml",
	"requirements.txt",
	"uv.lock",
}

// requirementFolder holds several requirement files by purpose in many projects.
const requirementFolder = "requirements"

// RequirementFiles returns the requirement and lock files of an experiment:
// those in its folder dir, else those in root, the repository's top folder. The
// paths are relative to dir, with forward slashes ("uv.lock", "../../uv.lock"),
// and sorted. Only regular files count; requirements/*.txt are among them.
func RequirementFiles(dir, root string) []string {
	if files := requirementsIn(dir); len(files) > 0 {
		return files
	}
	up, err := filepath.Rel(dir, root)
	if err != nil || up == "." {
		return nil
	}
	files := requirementsIn(root)
	for i, f := range files {
		files[i] = filepath.ToSlash(filepath.Join(up, f))
	}
	return files
}

func requirementsIn(folder string) []string {
	var files []string
	for _, name := range requirementFiles {
		if isRegular(filepath.Join(folder, name)) {
			files = append(files, name)
		}
	}
	entries, _ := os.ReadDir(filepath.Join(folder, requirementFolder))
	for _, e := range entries {
		name := requirementFolder + "/" + e.Name()
		if filepath.Ext(name) == ".txt" && isRegular(filepath.Join(folder, name)) {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files
}

func isRegular(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
