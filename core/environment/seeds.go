package environment

import (
	"strings"
	"unicode"

	"github.com/kept-dev/kept/lockfile"
)

// Seeds returns those params that look like the seed of a random generator:
// the last part of their dotted key is random_state or has the word seed in
// it ("seed", "train.np_seed", "manualSeed"). A stage without any is worth a
// warning, since nobody can tell whether it draws the same numbers again.
// Booleans and empty strings seed nothing.
func Seeds(params map[string]lockfile.Value) map[string]lockfile.Value {
	seeds := make(map[string]lockfile.Value)
	for key, value := range params {
		if _, isBool := value.(bool); !isBool && value != "" && namesSeed(key) {
			seeds[key] = value
		}
	}
	return seeds
}

func namesSeed(key string) bool {
	words := words(key[strings.LastIndexByte(key, '.')+1:])
	for i, word := range words {
		switch word {
		case "seed", "seeds", "randomseed", "rngseed", "randomstate":
			return true
		case "state":
			if i > 0 && words[i-1] == "random" {
				return true
			}
		}
	}
	return false
}

// words cuts a name at everything that is no letter and where upper case
// begins, and returns the words in lower case.
func words(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case unicode.IsUpper(r) && lower:
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}
