package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kept-dev/kept/cas/remote"
)

// RegionError says in which region the bucket is. It is in an error of the kind
// remote.ErrAddress where the server names one.
type RegionError struct{ Region string }

func (e *RegionError) Error() string {
	return fmt.Sprintf("the bucket is in the region %q: set region", e.Region)
}

// failure makes an *Error of what an operation ended with.
func (b *bucket) failure(ctx context.Context, op, name string, err error) error {
	e := &remote.Error{Op: op, Remote: b.url, Name: name}
	if ended := ctx.Err(); ended != nil {
		e.Err = ended
		return e
	}
	e.Kind, e.Err = kind(op, err)
	if errors.Is(e.Kind, remote.ErrTemporary) {
		e.After = after(err, time.Now())
	}
	if code(err) == "NoSuchKey" {
		b.known.Store(true)
	}
	return e
}

// kind returns which kind of error err is, and what to say of it in a line that
// has nothing in it which a stranger should not read.
func kind(op string, err error) (kind, said error) {
	if k, said := credentialsKind(err); k != nil {
		return k, said
	}
	if s := status(err); s != 0 {
		return answerKind(op, s, err)
	}
	for _, k := range []error{remote.ErrShort, remote.ErrNoRemote, remote.ErrAddress} {
		if errors.Is(err, k) {
			return k, errors.New(clean(strings.TrimPrefix(err.Error(), k.Error()+": ")))
		}
	}
	return networkKind(err)
}

func credentialsKind(err error) (kind, said error) {
	wrapped := new(credentialsError)
	if !errors.As(err, &wrapped) {
		return nil, nil
	}
	text := wrapped.Error()
	sending := new(smithyhttp.RequestSendError)
	switch {
	case strings.Contains(text, "EC2 IMDS") || strings.Contains(text, "ec2imds"):
		// The machine itself is the last that is asked, so nobody before it had any.
		return remote.ErrCredentials, errNoCredentials
	case errors.As(err, &sending) || status(err) >= http.StatusInternalServerError || status(err) == http.StatusTooManyRequests:
		return remote.ErrTemporary, fmt.Errorf("fetching credentials: %s", clean(text))
	}
	return remote.ErrCredentials, errors.New(clean(text))
}

// answerKind is about what a server answered.
func answerKind(op string, status int, err error) (kind, said error) {
	c, message := code(err), ""
	if api := smithy.APIError(nil); errors.As(err, &api) {
		message = api.ErrorMessage()
	}
	said = fmt.Errorf("%s (%d)", clean(strings.TrimSuffix(c+": "+message, ": ")), status)
	if plain := http.StatusText(status); message == plain || message == "" && c == strings.ReplaceAll(plain, " ", "") { // all that it said
		said = fmt.Errorf("%d %s", status, http.StatusText(status))
	}
	kind = codeKind(c)
	// Not every 404 is about the file: one with a code of its own is about something else.
	if kind == nil && (status != http.StatusNotFound || c == "" || c == "NotFound") {
		kind = statusKind(status)
	}
	switch region := namedRegion(err); {
	case region != "" && (errors.Is(kind, remote.ErrAddress) || c == "AuthorizationHeaderMalformed"):
		return remote.ErrAddress, &RegionError{region}
	case c == "RequestTimeTooSkewed":
		said = fmt.Errorf("%w: is the clock of this machine right?", said)
	case errors.Is(kind, remote.ErrReadOnly) && op != "put" && op != "delete":
		kind = remote.ErrUnsupported
	}
	return kind, said
}

// codeKind returns nil where the status says as much as the code.
func codeKind(code string) error {
	switch code {
	case "NoSuchBucket", "InvalidBucketName":
		return remote.ErrNoRemote
	case "NoSuchKey":
		return fs.ErrNotExist
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidObjectState", "UnauthorizedAccess":
		return remote.ErrDenied
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired",
		"InvalidSecurity", "InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp", "RequestExpired", "CredentialsNotSupported",
		"AuthorizationHeaderMalformed", "XAdminUserNotFound":
		return remote.ErrCredentials
	case "PermanentRedirect", "TemporaryRedirect", "Redirect", "IllegalLocationConstraintException":
		return remote.ErrAddress
	// What arrived was not what was sent, in three dialects, or not all of it.
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody":
		return remote.ErrTemporary
	// The SDK has learned from this answer what time it is, so the next try can work.
	case "RequestTimeTooSkewed":
		return remote.ErrTemporary
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded",
		"TooManyRequests", "BandwidthLimitExceeded", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict":
		return remote.ErrTemporary
	case "EntityTooLarge", "QuotaExceeded", "ServiceQuotaExceededException", "InsufficientCapacity", "StorageFull",
		"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "XMinioBucketQuotaExceeded":
		return remote.ErrFull
	}
	return nil
}

func statusKind(status int) error {
	switch {
	case status == http.StatusNotFound:
		return fs.ErrNotExist
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired:
		return remote.ErrCredentials
	case status >= 300 && status < 400:
		return remote.ErrAddress
	case status == http.StatusMethodNotAllowed:
		return remote.ErrReadOnly
	case status == http.StatusRequestEntityTooLarge || status == http.StatusInsufficientStorage:
		return remote.ErrFull
	case status == http.StatusRequestedRangeNotSatisfiable:
		return remote.ErrShort
	case status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported:
		return remote.ErrUnsupported
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests:
		return remote.ErrTemporary
	case status < 300: // it was no answer that can be read
		return remote.ErrTemporary
	}
	return nil
}

// networkKind is about what happened on the way.
func networkKind(err error) (kind, said error) {
	said = err
	sent, in, op, host, cert := new(smithyhttp.RequestSendError), new(url.Error), new(net.OpError), new(net.DNSError), new(tls.CertificateVerificationError)
	if errors.As(err, &sent) {
		said, kind = sent.Err, remote.ErrTemporary
	}
	if errors.As(err, &in) { // its own text has the whole address in it
		said = in.Err
	}
	switch {
	case errors.As(err, &host) && host.IsNotFound:
		kind = remote.ErrNoRemote
	case errors.As(err, &cert) || errors.Is(err, http.ErrSchemeMismatch):
		kind = nil
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op): // the body of an answer was cut
		kind = remote.ErrTemporary
	}
	return kind, errors.New(clean(said.Error()))
}

// status returns that of the answer in err, or 0.
func status(err error) int {
	answer := new(smithyhttp.ResponseError)
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return 0
	}
	return answer.Response.StatusCode
}

func header(err error, name string) string {
	answer := new(smithyhttp.ResponseError)
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return ""
	}
	return answer.Response.Header.Get(name)
}

// code returns the code that a server gives its error, or what the SDK makes of its status.
func code(err error) string {
	api := smithy.APIError(nil)
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// namedRegion returns the region that a server names in its error as the right one.
func namedRegion(err error) string {
	region := header(err, "x-amz-bucket-region")
	if region == "" && code(err) == "AuthorizationHeaderMalformed" {
		api := smithy.APIError(nil)
		errors.As(err, &api)
		_, rest, _ := strings.Cut(api.ErrorMessage(), "expecting ")
		region = strings.Trim(rest, `'"`)
	}
	if !isRegion(region) {
		return ""
	}
	return region
}

// after returns how long the server asks to wait.
func after(err error, now time.Time) time.Duration {
	value := header(err, "Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 16); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// clean makes one line of bounded length of what somebody else said.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "?")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}

const maxText = 300
