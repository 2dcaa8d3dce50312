package hooks

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// textVersion is the version of the texts below. A change of any text raises it,
// and moves the text it had to the older ones that hookText knows.
const textVersion = 1

// marker starts the comment that tells our text from others'. It is followed by
// the version and the event.
const marker = "# kept hook "

// madeByKept ends the marked line of a chained file that did not exist before.
const madeByKept = ", in a file made by kept"

// hookText returns the text of a hook file of our own. quoted is the path of
// kept as the shell reads it, or "" for a text without one: a file that is
// committed says nothing about the machine it was written on.
//
// It is POSIX shell, and starts no process before kept itself: it runs after
// every change of the index.
func hookText(event Event, quoted string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n%s%d: %s\n", marker, textVersion, event)
	fmt.Fprintf(&b, "# %s `kept hooks uninstall` removes this file.\n", purpose(event))
	b.WriteString("[ -z \"${KEPT_HOOK-}\" ] || exit 0\n")
	if quoted == "" {
		b.WriteString("kept=kept\n")
	} else {
		fmt.Fprintf(&b, "kept=%s\n[ -x \"$kept\" ] || kept=kept\n", quoted)
	}
	fmt.Fprintf(&b, "command -v \"$kept\" >/dev/null 2>&1 || { %s; exit 0; }\n", complaint(event))
	if event == PostCheckout {
		// Its exit status would become that of the user's git command.
		fmt.Fprintf(&b, "\"$kept\" hook %s \"$@\"\nexit 0\n", event)
	} else {
		fmt.Fprintf(&b, "exec \"$kept\" hook %s \"$@\"\n", event)
	}
	return b.String()
}

// hookLine returns the one line, without its end, that chains a hook into a
// shell script of somebody else. It has to get along with set -e and set -u,
// leave the script its standard input, and let the script go on.
func hookLine(event Event, quoted string, made bool) string {
	find := "kept_=kept"
	if quoted != "" {
		find = fmt.Sprintf("kept_=%s; [ -x \"$kept_\" ] || kept_=kept", quoted)
	}
	failed := ":"
	if event.refuses() {
		failed = "exit $?"
	}
	call := fmt.Sprintf("\"$kept_\" hook %s ${1+\"$@\"} </dev/null || %s", event, failed)
	if event == PrePush {
		// The refs that are pushed are on standard input, for the rest of the script as well.
		call = "kept_in=$(mktemp) && cat >\"$kept_in\" || exit 1; " +
			"\"$kept_\" hook pre-push ${1+\"$@\"} <\"$kept_in\" || { kept_=$?; rm -f \"$kept_in\"; exit $kept_; }; " +
			"exec <\"$kept_in\"; rm -f \"$kept_in\""
	}
	missing := complaint(event)
	if quoted == "" && event == PostCheckout {
		// In a committed script: post-index-change, which saw the same checkout, has said it.
		missing = ":"
	}
	end := ""
	if made {
		end = madeByKept
	}
	return fmt.Sprintf("if [ -z \"${KEPT_HOOK-}\" ]; then %s; if command -v \"$kept_\" >/dev/null 2>&1; then "+
		"%s; else %s; fi; fi %s%d: %s%s",
		find, call, missing, marker, textVersion, event, end)
}

// hookCommand returns the value of hook.<name>.command. Git appends ` "$@"` to
// it if the event has arguments, which is why it ends in the name of a function.
func hookCommand(event Event, quoted string) string {
	call := fmt.Sprintf("exec \"$kept\" hook %s \"$@\"", event)
	if event == PostCheckout {
		call = fmt.Sprintf("\"$kept\" hook %s \"$@\"; exit 0", event)
	}
	return fmt.Sprintf(": kept hook %d; kept_() { [ -z \"${KEPT_HOOK-}\" ] || exit 0; kept=%s; "+
		"[ -x \"$kept\" ] || kept=kept; command -v \"$kept\" >/dev/null 2>&1 || { %s; exit 0; }; %s; }; kept_",
		textVersion, quoted, complaint(event), call)
}

func purpose(event Event) string {
	switch event {
	case PreCommit:
		return "Refuses to commit a lock that does not say the truth."
	case PrePush:
		return "Sends what the pushed commits name to the remote first."
	}
	return "Restores the artifacts that kept.lock names."
}

// complaint returns the shell command that says what a missing kept means.
func complaint(event Event) string {
	switch event {
	case PreCommit:
		return "echo >&2 'kept: command not found, so kept.lock was not checked'"
	case PrePush:
		return "echo >&2 'kept: command not found, so artifacts were not pushed'"
	case PostIndexChange:
		// "1": the worktree was updated. Git calls it for every "git add", too.
		return "[ \"${1-}\" != 1 ] || echo >&2 'kept: command not found, so artifacts were not restored'"
	}
	return "echo >&2 'kept: command not found, so artifacts were not restored'"
}

// byHand returns what a user can add to a shell script that kept does not touch.
func byHand(event Event) string {
	failed := ":"
	if event.refuses() {
		failed = "exit $?"
	}
	return fmt.Sprintf("kept hook %s \"$@\" || %s", event, failed)
}

// quote returns a path as a word of the shell, or "" where none can be trusted
// to come back the same from the files it is written to.
func quote(path string) string {
	if strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return ""
	}
	return "'" + strings.ReplaceAll(filepath.ToSlash(path), "'", `'\''`) + "'"
}

// unquote is the inverse of quote.
func unquote(word string) string {
	word = strings.TrimSuffix(strings.TrimPrefix(word, "'"), "'")
	return filepath.FromSlash(strings.ReplaceAll(word, `'\''`, "'"))
}

var (
	markedHead  = lazy.Regexp(`\A#![^\n]*\n` + marker + `(\d+): ([a-z-]+)\n`)
	markedLine  = lazy.Regexp(`\S.*` + marker + `(\d+): ([a-z-]+)(` + madeByKept + `)?\r?\z`)
	keptSetting = lazy.Regexp(`(?m)\bkept_?=('(?:[^'\n]|'\\'')*')`)
	commandHead = lazy.Regexp(`\A: kept hook (\d+); `)
)

// ours is our text in a hook file.
type ours struct {
	version int
	// whole says that all of the file is ours; otherwise it is one line.
	whole bool
	// edited says that the file starts as ours but is not what was written.
	edited bool
	// made says that the file with our line did not exist before.
	made bool
	// binary is the path of kept in the text, or "".
	binary string
}

// findOurs looks for our text for event in the content of a hook file.
func findOurs(event Event, content string) (ours, bool) {
	if m := markedHead().FindStringSubmatch(content); m != nil && m[2] == string(event) {
		version, _ := strconv.Atoi(m[1])
		o := ours{version: version, whole: true}
		quoted := ""
		if path := keptSetting().FindStringSubmatch(content); path != nil {
			quoted = path[1]
			o.binary = unquote(quoted)
		}
		o.edited = content != hookText(event, quoted)
		return o, true
	}
	for line := range strings.Lines(content) {
		if m := matchLine(event, line); m != nil {
			version, _ := strconv.Atoi(m[1])
			o := ours{version: version, made: m[3] != ""}
			if path := keptSetting().FindStringSubmatch(line); path != nil {
				o.binary = unquote(path[1])
			}
			return o, true
		}
	}
	return ours{}, false
}

func matchLine(event Event, line string) []string {
	m := markedLine().FindStringSubmatch(strings.TrimSuffix(line, "\n"))
	if m == nil || m[2] != string(event) {
		return nil
	}
	return m
}

// insertLine puts line behind the first line of a script if that is a "#!",
// else in front, such that removeLine gives content back byte for byte.
func insertLine(content, line string) string {
	head, tail := "", content
	if strings.HasPrefix(content, "#!") {
		end := strings.IndexByte(content, '\n')
		if end < 0 {
			return content + "\n" + line
		}
		head, tail = content[:end+1], content[end+1:]
	}
	if strings.HasSuffix(head, "\r\n") {
		line += "\r"
	}
	return head + line + "\n" + tail
}

// removeLine takes our lines for event out of a script.
func removeLine(event Event, content string) string {
	var b strings.Builder
	for line := range strings.Lines(content) {
		if matchLine(event, line) == nil {
			b.WriteString(line)
			continue
		}
		if !strings.HasSuffix(line, "\n") { // the script had no line end, see insertLine
			text := strings.TrimSuffix(b.String(), "\n")
			b.Reset()
			b.WriteString(text)
		}
	}
	return b.String()
}
