package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// What the errors of requests mean, where it is not in a responseError.
var (
	errNotFound    = errors.New("not found")
	errUnsupported = errors.New("the registry does not do that")
	// errAltered is that something came otherwise than it is.
	errAltered = errors.New("it came otherwise than it is")
)

// responseError is what a registry, or its token server, said in place of what was asked for.
type responseError struct {
	url    *url.URL
	status int
	said   []complaint
}

// complaint is an error as the distribution specification has them, but for its details.
type complaint struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *responseError) Error() string {
	text := fmt.Sprintf("%d %s", e.status, http.StatusText(e.status))
	for _, c := range e.said {
		text += fmt.Sprintf(": %s: %s", c.Code, c.Message)
	}
	return text
}

// says reports whether one of codes is among what was said.
func (e *responseError) says(codes ...string) bool {
	return slices.ContainsFunc(e.said, func(c complaint) bool { return slices.Contains(codes, c.Code) })
}

// answer returns what was said.
func answer(resp *http.Response) error {
	e := &responseError{url: resp.Request.URL, status: resp.StatusCode}
	var body struct {
		Errors []complaint `json:"errors"`
	}
	// What is not JSON comes from something on the way, and its status says enough.
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxManifest)).Decode(&body); err == nil {
		e.said = body.Errors
	}
	return e
}

// drop ends a response whose body is of no interest, and keeps the connection for the
// next request if that is cheap.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxManifest)
	_ = resp.Body.Close()
}
