package web

import (
	"fmt"

	"github.com/kept-dev/kept/cas/remote"
)

// Bool returns a setting that is "true" or "false"; without it, false.
func Bool(s remote.Settings, key string) (bool, error) {
	switch value := s[key]; value {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		return false, fmt.Errorf("setting %s = %q: want \"true\" or \"false\"", key, value)
	}
}
