package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/azure"
	"github.com/kept-dev/kept/cas/remote/file"
	"github.com/kept-dev/kept/cas/remote/gcs"
	"github.com/kept-dev/kept/cas/remote/http"
	"github.com/kept-dev/kept/cas/remote/oci"
	"github.com/kept-dev/kept/cas/remote/s3"
	"github.com/kept-dev/kept/cas/remote/sftp"
	"github.com/kept-dev/kept/core"
)

// schemes are the kinds of remotes that are compiled in, by the schemes of their URLs.
func schemes() remote.Schemes {
	return remote.Schemes{
		"az":    azure.Open,
		"dav":   http.Open,
		"davs":  http.Open,
		"file":  file.Open,
		"gs":    gcs.Open,
		"http":  http.Open,
		"https": http.Open,
		"oci":   oci.Open,
		"s3":    s3.Open,
		"sftp":  sftp.Open,
		"ssh":   sftp.Open,
	}
}

// openRemote opens a remote that tries again by itself what may work then, and says
// so where that takes a while.
func (u *ui) openRemote(ctx context.Context, at *remote.URL, s remote.Settings) (remote.Remote, error) {
	return openSteady(ctx, at, s, remote.Limits{Retrying: u.sayRetries()})
}

// sayRetries returns what says that something is tried again. Of many requests that fail at once
// it is said of one.
func (u *ui) sayRetries() func(err error, after time.Duration) {
	var mu sync.Mutex
	var said time.Time
	return func(err error, after time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if after < sayWait || time.Since(said) < sayEvery {
			return
		}
		said = time.Now()
		u.say("%s%s; trying again in %s", u.newLine(), clean(err.Error()), after.Round(time.Second))
	}
}

// openToCheck opens a remote that is about to be asked for what can't be had. It does
// not hope for long that it can, and says nothing of that.
func openToCheck(ctx context.Context, at *remote.URL, s remote.Settings) (remote.Remote, error) {
	return openSteady(ctx, at, s, remote.Limits{Tries: 3})
}

func openSteady(ctx context.Context, at *remote.URL, s remote.Settings, limits remote.Limits) (remote.Remote, error) {
	r, err := schemes().Open(ctx, at, s)
	if err != nil {
		return nil, err
	}
	limits.URL = at.String()
	return remote.Steady(r, limits), nil
}

const (
	// sayWait is how long kept waits for a remote in silence.
	sayWait = 3 * time.Second
	// sayEvery is how long what was said stands.
	sayEvery = 8 * time.Second
)

// newLine takes away what a meter has drawn on a terminal.
func (u *ui) newLine() string {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return clearLine
	}
	return ""
}

// dial returns how remotes are reached. With ask, and where somebody sits at the
// terminal, it asks before a remote that the repository names gets credentials.
func (u *ui) dial(jobs int, ask bool) *core.Dial {
	d := &core.Dial{Open: u.openRemote, Login: hasLogin, Jobs: jobs}
	if ask && term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())) {
		d.Ask = u.askTrust
	}
	return d
}

// hasLogin reports whether who reads from a remote of this URL may be logged in.
func hasLogin(at *remote.URL) (bool, error) {
	if at.Scheme == "http" || at.Scheme == "https" {
		return http.HasLogin(at)
	}
	return true, nil
}

// askTrust asks whether the credentials may be used. Anything but a yes is a no.
func (u *ui) askTrust(ctx context.Context, m *core.Remote) (bool, error) {
	u.write(u.err, fmt.Sprintf("%s names %s: use your credentials for it? [y/N] ", clean(m.File), clean(m.Where())))
	line, err := readLine(ctx)
	if err != nil {
		u.say("") // What follows is no answer.
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// readLine reads a line of standard input, for which nobody has to wait who has interrupted kept.
func readLine(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		given <- answer{line, err}
	}()
	select {
	case a := <-given:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
