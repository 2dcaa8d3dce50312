package azure

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// answer is one that is none of success, without what Azure's client prints of it: the
// address has the signature of a SAS in it.
type answer struct {
	status  int
	code    bloberror.Code
	message string
}

func (a *answer) Error() string {
	text := fmt.Sprintf("%d %s", a.status, a.code)
	if a.code == "" {
		text += http.StatusText(a.status)
	}
	if a.message != "" {
		text += ": " + web.Line(a.message)
	}
	return text
}

// maxAnswer is more than Azure has to say.
const maxAnswer = 64 << 10

// readAnswer keeps of what Azure says the code and the first line, behind which is what
// concerns nobody.
func readAnswer(e *azcore.ResponseError) *answer {
	a := &answer{status: e.StatusCode, code: bloberror.Code(e.ErrorCode)}
	if e.RawResponse == nil || e.RawResponse.Body == nil {
		return a
	}
	text, err := io.ReadAll(io.LimitReader(e.RawResponse.Body, maxAnswer)) // Azure's client has it in memory
	if err != nil {
		return a
	}
	var body struct {
		Message string
	}
	if xml.Unmarshal(text, &body) == nil {
		a.message, _, _ = strings.Cut(body.Message, "\n")
	}
	return a
}

// fail returns what went wrong as *remote.Error, or nil.
func (c *container) fail(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &remote.Error{Op: op, Remote: c.text, Name: name, Err: web.Cause(err)}
	var response *azcore.ResponseError
	var l *loginError
	switch {
	case errors.As(err, &response):
		a := readAnswer(response)
		e.Kind, e.Err = a.kind(op), a
		if response.RawResponse != nil {
			e.After = web.RetryAfter(response.RawResponse.Header)
		}
	case errors.As(err, &l):
		e.Kind, e.Err = l.kind, l
	case errors.Is(err, remote.ErrUnsupported):
		e.Kind = remote.ErrUnsupported
	case errors.Is(err, remote.ErrAltered):
		e.Kind = remote.ErrAltered
	default:
		e.Kind = web.Kind(err)
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(e.Err, ended) {
		e.Err = fmt.Errorf("%w: %w", ended, e.Err)
	}
	switch {
	case errors.Is(e.Kind, fs.ErrNotExist):
		e.Err = nil // that there is no such file needs no word of Azure's
	case errors.Is(e.Kind, remote.ErrCredentials):
		e.Err = fmt.Errorf("%w; %s", e.Err, c.advice())
	}
	return e
}

// advice says what to do for credentials.
func (c *container) advice() string {
	switch c.login {
	case "":
		return "this container is not for everybody: leave out anonymous, and log in with \"az login\""
	case loginWords:
		return `log in with "az login", or set ` + envConnection + ", " + envKey + " or " + envSAS + `; a container for everybody needs anonymous = "true"`
	}
	return "look at " + c.login
}

// kind tells by Azure's code, or where there is none by the status.
func (a *answer) kind(op string) error {
	switch a.code {
	case bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.InvalidResourceName, bloberror.AccountBeingCreated:
		return remote.ErrNoRemote
	case bloberror.BlobNotFound:
		return fs.ErrNotExist
	case bloberror.AuthenticationFailed, bloberror.NoAuthenticationInformation, "KeyBasedAuthenticationNotPermitted", "PublicAccessNotPermitted":
		return remote.ErrCredentials
	case bloberror.AccountIsDisabled, bloberror.ContainerDisabled, bloberror.LeaseIDMissing, "BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold":
		return remote.ErrDenied
	case bloberror.MD5Mismatch, bloberror.CRC64Mismatch:
		return remote.ErrAltered
	case bloberror.InvalidRange:
		return remote.ErrShort
	case bloberror.ServerBusy, bloberror.InternalError, bloberror.OperationTimedOut:
		return remote.ErrTemporary
	case "InsufficientStorage", "AccountCapacityExceeded", "QuotaExceeded":
		return remote.ErrFull
	}
	if a.status == http.StatusNotFound {
		// What is put or listed has only its container to be missing. To somebody unknown
		// it looks as if it did not exist.
		if op == "put" || op == "list" || a.code == bloberror.ResourceNotFound {
			return remote.ErrNoRemote
		}
		return fs.ErrNotExist
	}
	return web.StatusKind(a.status)
}
