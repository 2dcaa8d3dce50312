package environment

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Package is one installed distribution.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ErrPackages reports bytes that are not a canonical list of packages.
var ErrPackages = errors.New("not a canonical list of packages")

// NormalizeName returns a distribution's name as PEP 503 compares names: lower
// case, each run of '-', '_' and '.' one '-'. It returns "" for what is no name.
func NormalizeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.':
			if b.Len() == 0 || i == len(name)-1 {
				return ""
			}
			if last := name[i-1]; last != '-' && last != '_' && last != '.' {
				b.WriteByte('-')
			}
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			b.WriteByte(c)
		default:
			return ""
		}
	}
	return b.String()
}

// versionByte tells the characters of PEP 440 versions, the older forms included.
func versionByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(".!+-_", c) >= 0
}

// FormatPackages returns the canonical list that a lock's `packages` digest
// stands for: one line "name==version" per package, names normalised, lines
// sorted bytewise and each written once. It is a valid requirements.txt.
//
// kept itself is left out, for its version does not change what a stage
// computes. Packages without a usable name or version are left out, too;
// characters that no version has are written as '_'. A package that several
// processes of a run used in different versions has a line for each.
func FormatPackages(packages []Package) []byte {
	lines := make([]string, 0, len(packages))
	for _, p := range packages {
		name := NormalizeName(p.Name)
		if name == "" || name == "kept" || p.Version == "" {
			continue
		}
		version := []byte(p.Version)
		for i, c := range version {
			if !versionByte(c) {
				version[i] = '_'
			}
		}
		lines = append(lines, name+"=="+string(version)+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(slices.Compact(lines), ""))
}

// ParsePackages reads what FormatPackages wrote and refuses everything else
// with ErrPackages: a digest has one text.
func ParsePackages(data []byte) ([]Package, error) {
	var packages []Package
	previous := ""
	for number := 1; len(data) > 0; number++ {
		raw, rest, ended := bytes.Cut(data, []byte("\n"))
		line := string(raw)
		name, version, found := strings.Cut(line, "==")
		valid := ended && found && name != "" && name == NormalizeName(name) && name != "kept" && version != ""
		for i := range len(version) {
			valid = valid && versionByte(version[i])
		}
		// Compared with its LF a line sorts as FormatPackages sorted it.
		if !valid || line+"\n" <= previous {
			return nil, fmt.Errorf("line %d: %w", number, ErrPackages)
		}
		packages = append(packages, Package{Name: name, Version: version})
		previous, data = line+"\n", rest
	}
	return packages, nil
}

// PackagesOf lists packages by name and versions, the form in which a run's
// events collect them.
func PackagesOf(versions map[string][]string) []Package {
	var packages []Package
	for name, list := range versions {
		for _, version := range list {
			packages = append(packages, Package{Name: name, Version: version})
		}
	}
	slices.SortFunc(packages, func(a, b Package) int {
		return strings.Compare(a.Name+"=="+a.Version, b.Name+"=="+b.Version)
	})
	return packages
}

// PackageChange is a package that differs between two lists.
type PackageChange struct {
	Name string `json:"name"`
	// Old and New are the versions, "" where the package is missing. Several
	// versions of one package are separated by ", ".
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// Diff returns what changed between two lists of packages, sorted by name.
func Diff(old, new []Package) []PackageChange {
	before, after := versionsByName(old), versionsByName(new)
	var changes []PackageChange
	for name, version := range before {
		if after[name] != version {
			changes = append(changes, PackageChange{Name: name, Old: version, New: after[name]})
		}
	}
	for name, version := range after {
		if _, ok := before[name]; !ok {
			changes = append(changes, PackageChange{Name: name, New: version})
		}
	}
	slices.SortFunc(changes, func(a, b PackageChange) int { return strings.Compare(a.Name, b.Name) })
	return changes
}

func versionsByName(packages []Package) map[string]string {
	// The canonical form decides what counts as the same package and version.
	canonical, _ := ParsePackages(FormatPackages(packages))
	versions := make(map[string]string, len(canonical))
	for _, p := range canonical {
		if known, ok := versions[p.Name]; ok {
			p.Version = known + ", " + p.Version
		}
		versions[p.Name] = p.Version
	}
	return versions
}
