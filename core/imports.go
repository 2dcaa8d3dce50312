package core

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// pythonImport matches the modules that a line of Python imports.
var pythonImport = lazy.Regexp(`(?m)^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import|import[ \t]+([\w., \t]+))`)

// pythonImports returns the files and packages of the experiment that a Python
// file imports, and those that these import in turn, sorted. It reads no more
// than import statements: a guess for a person to complete.
func (p *Project) pythonImports(file string) []string {
	found := map[string]bool{}
	todo := []string{file}
	for len(todo) > 0 && len(found) < 1000 {
		file, todo = todo[0], todo[1:]
		if path.Ext(file) != ".py" {
			continue
		}
		data, err := readBounded(p.Workspace.Abs(p.join(file)), 1<<20)
		if err != nil {
			continue
		}
		for _, name := range importedModules(string(data)) {
			module := p.pythonModule(path.Join(path.Dir(file), name))
			if module != "" && !found[module] {
				found[module] = true
				todo = append(todo, module)
			}
		}
	}
	var modules []string
	for module := range found {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	return modules
}

// importedModules returns the first parts of the modules that a source imports.
func importedModules(source string) []string {
	var names []string
	for _, m := range pythonImport().FindAllStringSubmatch(source, -1) {
		for _, name := range strings.Split(m[1]+m[2], ",") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			name, _, _ = strings.Cut(name, ".")
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// pythonModule returns the file or the folder of a module that lies in the
// experiment, "" where there is none. A folder counts with all that is in it.
func (p *Project) pythonModule(name string) string {
	if p.Workspace.Exists(p.join(name + ".py")) {
		return name + ".py"
	}
	info, err := os.Stat(p.Workspace.Abs(p.join(path.Join(name, "__init__.py"))))
	if err == nil && info.Mode().IsRegular() {
		return name
	}
	return ""
}
