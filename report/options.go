package report

import (
	"cmp"
	"strings"
)

// Options are what a document needs beside the reviews.
type Options struct {
	// Key tells this comment from others of the same pull request: whoever posts
	// it looks for the marker line and updates the comment that starts with it.
	// The default is "gate".
	Key string
	// Version is that of kept, for the footer.
	Version string
	// Limit is the most bytes that Markdown writes; the default is CommentLimit. Less
	// than minLimit counts as that.
	Limit int
	// Link is the address of the place that has the whole report, for a Markdown that
	// had to be cut; it may be empty. What is no http or https address is left out.
	Link string
	// Draw makes an SVG picture of a curve for HTML. It is called once per curve. Nil
	// leaves the pictures out, and so does an error for the one that it is about.
	Draw func([]Curve) ([]byte, error)
	// Line finds the line of a metric in the head's kept.lock for annotations, counted
	// from 1; nil or 0 leave it out.
	Line func(experiment, stage, key string) int
}

// The limits of the places that show Markdown, with room for what they add.
// They hold in bytes, and so in characters however those are counted.
const (
	CommentLimit = 65_000    // of a comment on GitHub: 65,536 characters
	SummaryLimit = 1_000_000 // of a step summary on GitHub: 1 MiB. It also fits GitLab's notes: 1,000,000 characters
	minLimit     = 16_384    // the verdict, the footer and a row must find room
)

func (o Options) limit() int { return max(cmp.Or(o.Limit, CommentLimit), minLimit) }

func (o Options) key() string { return cmp.Or(o.Key, "gate") }

// link returns Link where it is an address that means the same in Markdown as anywhere.
func (o Options) link() string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#@!$&'*+,;=%"
	foreign := func(r rune) bool { return !strings.ContainsRune(allowed, r) }
	web := strings.HasPrefix(o.Link, "https://") || strings.HasPrefix(o.Link, "http://")
	if !web || len(o.Link) > 500 || strings.IndexFunc(o.Link, foreign) >= 0 {
		return ""
	}
	return o.Link
}
