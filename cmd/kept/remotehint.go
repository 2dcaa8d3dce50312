package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// hasRemote reports whether a remote is configured for the experiment here.
func hasRemote() bool {
	p, err := core.Open(".")
	if err != nil {
		return false
	}
	list, err := p.Remotes()
	return err == nil && len(list) > 0
}

// ranHere reports whether this clone has run what the lock of the experiment here records. One that
// has not was most likely cloned from where somebody has.
func ranHere() bool {
	p, err := core.Open(".")
	return err == nil && p.RanHere()
}

// hintMissing brings back what no store here has, for who types in dir: from a remote, by a
// run where there was one, and else from where those have it who recorded it.
func hintMissing(dir string) string {
	p, err := core.Open(dir)
	if err != nil {
		return hintMissingAnywhere()
	}
	list, err := p.Remotes()
	switch {
	case err != nil:
		return "kept remote list"
	case len(list) > 0:
		return "kept pull"
	case p.RanHere():
		return "kept run"
	}
	return "kept remote add default URL"
}

// hintMissingAnywhere is hintMissing where there are experiments only further down.
func hintMissingAnywhere() string {
	r, err := core.OpenRepository(".")
	if err != nil {
		return ""
	}
	projects, err := r.Projects(context.Background())
	if err != nil || len(projects) == 0 {
		return "kept init"
	}
	for _, p := range projects {
		if list, err := p.Remotes(); err == nil && len(list) > 0 {
			return "kept pull --all"
		}
	}
	return "cd " + pathWord(typed(projects[0].Rel))
}

// isRemote reports whether it is a remote that failed, or that does not have what it should.
func isRemote(err error) bool {
	var failed *remote.Error
	var checked *remoteCheckError
	var notThere *notThereError
	var got *core.NotOnRemoteError
	switch {
	case errors.As(err, &notThere):
		return !notThere.push
	case cas.IsDiskFull(err) && !errors.Is(err, remote.ErrFull):
		return false // the disk here
	}
	return errors.Is(err, cas.ErrDamaged) || errors.As(err, &failed) || errors.As(err, &checked) || errors.As(err, &got)
}

// hintRemote says what to type for what is wrong with a remote.
func hintRemote(err error) string {
	var untrusted *core.UntrustedError
	var none *core.NoRemoteError
	var exists *core.RemoteExistsError
	var config *core.RemoteConfigError
	var notThere *notThereError
	var several *core.NoLockError
	var occupied *core.OccupiedError
	var foreign *core.ForeignError
	var refused *git.ForeignURLError
	switch {
	case errors.As(err, &refused):
		return "kept get --help"
	case errors.As(err, &foreign):
		return "git ls-remote -- " + pathWord(git.HideCredentials(foreign.URL))
	case errors.As(err, &several), errors.As(err, &occupied):
		return "kept get --help"
	case errors.As(err, &untrusted):
		return hintTrust(untrusted)
	case errors.As(err, &none) && none.Foreign:
		return ""
	case errors.As(err, &none):
		return hintNoRemote(none)
	case errors.As(err, &exists):
		return "kept remote remove " + word(exists.Name)
	case errors.As(err, &config):
		return hintConfig(config)
	case errors.As(err, &notThere) && notThere.push:
		return hintMissingLocally(notThere)
	case errors.As(err, &notThere):
		return hintRecorder(notThere)
	case errors.As(err, new(*damagedThereError)):
		return "git log -1 -- " + lockfile.Name
	}
	return hintKind(err)
}

func hintTrust(e *core.UntrustedError) string {
	if e.Command != "" {
		return e.Command
	}
	return "kept remote trust " + word(e.Remote.Name)
}

func hintNoRemote(e *core.NoRemoteError) string {
	switch {
	case len(e.Known) == 0 && e.Name != "":
		return "kept remote add " + word(e.Name) + " URL"
	case len(e.Known) == 0:
		return "kept remote add default URL"
	case e.Name != "":
		return "kept remote list"
	}
	if e.Command != "" {
		return e.Command + " " + word(e.Known[0])
	}
	return "kept push --remote " + word(e.Known[0])
}

// hintAdded says what a remote that was just added is for, if that is known.
func hintAdded(ctx context.Context, p *core.Project, name string) string {
	list, err := p.Remotes()
	if err != nil {
		return ""
	}
	to := ""
	if m, err := core.ChooseRemote(list, ""); err != nil || m.Name != name {
		to = " --remote " + word(name)
	}
	switch fetch, push, err := p.Wants(ctx); {
	case err != nil:
		return ""
	case fetch:
		return "kept pull" + to
	case push:
		return "kept push --all" + to
	}
	return ""
}

// hintConfig puts what kept.toml can't have where it can be.
func hintConfig(e *core.RemoteConfigError) string {
	switch {
	case e.File == "":
		return "kept remote add --help"
	case e.Kind:
		return "kept remote list"
	case e.Local:
		return "kept remote add --local " + word(e.Name) + " URL"
	}
	return "kept remote remove " + word(e.Name)
}

// hintRecorder names who has it: whoever recorded it.
func hintRecorder(e *notThereError) string {
	return "git log -1 -- " + pathWord(typed(e.first.Lock))
}

// hintMissingLocally makes again what neither side has.
func hintMissingLocally(e *notThereError) string {
	switch {
	case !ranHere():
		return hintRecorder(e)
	case e.first.Kind == "artifact" && e.first.Commit.ID == "":
		return "kept run --force"
	}
	return "kept fsck"
}

// hintKind goes by what a remote said.
func hintKind(err error) string {
	var failed *remote.Error
	if !errors.As(err, &failed) {
		return ""
	}
	u, parsed := remote.ParseURL(failed.Remote)
	if parsed != nil {
		u = &remote.URL{}
	}
	switch {
	case errors.Is(err, remote.ErrHostKey):
		return "ssh " + sshHost(u)
	case errors.Is(err, remote.ErrCredentials):
		return hintCredentials(u, settingsOf(err))
	case errors.Is(err, remote.ErrNoRemote) && u.Scheme == "file":
		return "ls -ld " + pathWord(filepath.Dir(u.Path))
	case errors.Is(err, remote.ErrFull) && u.Scheme == "file":
		return "df -h " + pathWord(u.Path)
	case (errors.Is(err, remote.ErrReadOnly) || errors.Is(err, remote.ErrDenied)) && u.Scheme == "file":
		return "ls -ld " + pathWord(u.Path)
	case errors.Is(err, remote.ErrNoRemote), errors.Is(err, remote.ErrAddress):
		return "kept remote list"
	case errors.Is(err, remote.ErrReadOnly), errors.Is(err, remote.ErrDenied), errors.Is(err, remote.ErrFull), errors.Is(err, remote.ErrAltered), errors.Is(err, remote.ErrShort):
		return hintCheck(err)
	case failed.Kind == nil && !errors.As(err, new(*remote.BodyError)):
		return "kept remote list" // such as TLS to a server that speaks none
	}
	return ""
}

// hintCheck has the remote tried out, or shows which one it is that was.
func hintCheck(err error) string {
	var checked *remoteCheckError
	var failed *core.RemoteError
	switch {
	case errors.As(err, &checked):
		return "kept remote list"
	case errors.As(err, &failed) && failed.Remote.Name != core.DefaultRemote:
		return "kept remote check " + word(failed.Remote.Name)
	}
	return "kept remote check"
}

// sshHost is how ssh is asked to log in there.
func sshHost(u *remote.URL) string {
	host := u.Host
	port := ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	if u.User != "" {
		host = u.User + "@" + host
	}
	if port != "" && port != "22" {
		return "-p " + word(port) + " " + word(host)
	}
	return word(host)
}

// settingsOf returns those of the remote that failed with err.
func settingsOf(err error) remote.Settings {
	var failed *core.RemoteError
	var checked *remoteCheckError
	switch {
	case errors.As(err, &failed):
		return failed.Remote.Settings
	case errors.As(err, &checked):
		return checked.remote.Settings
	}
	return nil
}

// hintCredentials is how the field logs in to each kind of remote.
func hintCredentials(u *remote.URL, s remote.Settings) string {
	switch u.Scheme {
	case "s3":
		return hintS3(s)
	case "gs":
		return "gcloud auth application-default login"
	case "az":
		if s["endpoint"] != "" {
			return "export AZURE_STORAGE_KEY=KEY"
		}
		return "az login"
	case "sftp":
		return "ssh-add -l"
	case "oci":
		host, _, _ := strings.Cut(u.Host, "/")
		return "docker login " + word(host)
	case "http", "https", "dav", "davs":
		return "export KEPT_HTTP_HOST=" + word(u.Host) + " KEPT_HTTP_USER=NAME KEPT_HTTP_PASSWORD=PASSWORD"
	}
	return ""
}

// hintS3 tells who one is at AWS, and gives another server the keys that are its own.
func hintS3(s remote.Settings) string {
	custom := s["endpoint"] != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	profile := s["profile"]
	if profile == "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		profile = os.Getenv("AWS_PROFILE")
	}
	switch {
	case custom && profile != "":
		return "aws configure --profile " + word(profile)
	case custom:
		return "export AWS_ACCESS_KEY_ID=KEY AWS_SECRET_ACCESS_KEY=SECRET"
	case profile != "":
		return "aws sts get-caller-identity --profile " + word(profile)
	}
	return "aws sts get-caller-identity"
}
