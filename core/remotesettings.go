package core

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a table of a remote may hold, far above what anybody writes.
const (
	maxRemoteSettings = 64
	maxRemoteSetting  = 1024 // bytes of a value
)

// settingText returns the text of a setting, which is a text or true or false.
func settingText(value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case bool:
		return strconv.FormatBool(value), nil
	}
	return "", fmt.Errorf("a setting is a text, true or false, not %v", value)
}

// checkSetting refuses what belongs into no settings at all. What a setting means,
// and whether there is one of that name, the kind of the remote knows.
func checkSetting(key, value string) error {
	words := strings.FieldsFunc(strings.ToLower(key), func(c rune) bool { return c == '_' || c == '-' || c == '.' })
	switch {
	case len(words) == 0 || len(key) > 64 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "":
		return fmt.Errorf("%q is no name of a setting", key)
	case isSecret(words):
		return fmt.Errorf("%s is a secret, which has no place here: credentials come from the environment or from where their own tools keep them", key)
	case len(value) > maxRemoteSetting:
		return fmt.Errorf("%s has %d bytes, want at most %d", key, len(value), maxRemoteSetting)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, isOdd):
		return fmt.Errorf("%s has a control character", key)
	}
	if _, _, ok := strings.Cut(value, "://"); !ok {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s is no URL", key)
	case u.User != nil:
		return fmt.Errorf("%s has a user or a password in it, which does not belong there", key)
	}
	return nil
}

func isOdd(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }

// isSecret reports whether a setting whose name has these words is one that holds a secret.
func isSecret(words []string) bool {
	for _, w := range words {
		switch w {
		case "secret", "password", "passwd", "passphrase", "token", "credential", "credentials", "sas", "bearer", "authorization", "cookie":
			return true
		}
	}
	name := strings.Join(words, "_")
	return slices.ContainsFunc([]string{"access_key", "account_key", "api_key", "private_key", "shared_key", "connection_string", "accesskey", "apikey"},
		func(s string) bool { return strings.Contains(name, s) })
}

// checkCommitted refuses a setting that kept.toml may not have: it would name
// something of the machine of whoever clones the repository.
func checkCommitted(key, value string) error {
	words := strings.FieldsFunc(strings.ToLower(key), func(c rune) bool { return c == '_' || c == '-' || c == '.' })
	for _, w := range words {
		switch w {
		case "command", "exec", "program", "helper", "shell", "proxycommand":
			return fmt.Errorf("%s names a program, which kept.toml can't do", key)
		}
	}
	switch {
	case strings.HasPrefix(value, "-"):
		return fmt.Errorf("%s begins with %q, which some program may take for an option", key, "-")
	case strings.HasPrefix(value, "/"), strings.HasPrefix(value, "~"), strings.HasPrefix(value, `\`), filepath.IsAbs(value),
		strings.HasPrefix(strings.ToLower(value), "file:"), slices.Contains(strings.Split(filepath.ToSlash(value), "/"), ".."):
		return fmt.Errorf("%s is a path of one machine, which kept.toml can't name", key)
	}
	return nil
}
