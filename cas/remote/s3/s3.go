// Package s3 keeps the files of a remote in a bucket: of AWS, and of everything that
// speaks its protocol, such as MinIO, R2, Ceph and versitygw.
//
// Credentials come from where the tools of AWS look for them: the environment, the
// shared config and credentials files, SSO, web identity, and the container or machine.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/kept-dev/kept/cas/remote"
)

// Open opens the bucket of s3://bucket/prefix. The settings are
//
//   - region: where the bucket is. Without it, it is found out on AWS, and us-east-1 at
//     any other endpoint.
//   - endpoint: the URL of a server that is not AWS. AWS_ENDPOINT_URL_S3 stands in for it.
//   - path_style: "true" for endpoint/bucket/name, "false" for bucket.endpoint/name.
//     Without it, the former where there is an endpoint: it needs no names in DNS.
//   - profile: a profile of the shared config and credentials files.
//   - role: the ARN of a role to assume.
//   - anonymous: "true" for a public bucket and no credentials.
//
// Nothing is read and nobody is asked before the first use.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	o, err := parse(u, s)
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	r := &bucket{url: u.String(), options: o, turn: make(chan struct{}, 1), tune: tune}
	if u.Path != "" {
		r.prefix = u.Path + "/"
	}
	return r, nil
}

// options are what the URL and the settings say.
type options struct {
	bucket, region, endpoint, profile, role string
	anonymous                               bool
	// hosted says that the bucket is part of the host's name; nil where no setting says so.
	hosted *bool
}

func parse(u *remote.URL, s remote.Settings) (options, error) {
	o := options{bucket: u.Host, region: s["region"], endpoint: s["endpoint"], profile: s["profile"], role: s["role"]}
	if u.User != "" || !isBucket(u.Host) {
		return o, fmt.Errorf("%q is no name of a bucket: want s3://bucket or s3://bucket/prefix; the server goes into the setting endpoint", strings.TrimPrefix(u.User+"@"+u.Host, "@"))
	}
	if err := s.Only("region", "endpoint", "path_style", "profile", "role", "anonymous"); err != nil {
		return o, err
	}
	anonymous, err := boolean(s, "anonymous")
	if err != nil {
		return o, err
	}
	o.anonymous = anonymous != nil && *anonymous
	pathStyle, err := boolean(s, "path_style")
	if err != nil {
		return o, err
	}
	if pathStyle != nil {
		hosted := !*pathStyle
		o.hosted = &hosted
	}
	switch {
	case o.region != "" && !isRegion(o.region):
		return o, fmt.Errorf("setting region: %q is no name of a region", o.region)
	case o.role != "" && !strings.HasPrefix(o.role, "arn:"):
		return o, fmt.Errorf("setting role: %q is no ARN", o.role)
	case o.anonymous && o.profile+o.role != "":
		return o, errors.New("setting anonymous goes with neither profile nor role")
	}
	return o, checkEndpoint(o.endpoint)
}

// boolean returns nil where the setting is not there.
func boolean(s remote.Settings, key string) (*bool, error) {
	value, ok := s[key]
	if !ok {
		return nil, nil
	}
	is := value == "true"
	if !is && value != "false" {
		return nil, fmt.Errorf(`setting %s: %q, want "true" or "false"`, key, value)
	}
	return &is, nil
}

// isBucket is true for what can be a bucket anywhere, also for those old ones that
// AWS would not make any more.
func isBucket(name string) bool {
	return len(name) >= 3 && len(name) <= 255 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// isRegion matters: a region becomes part of a host's name, and a server can name one.
func isRegion(name string) bool {
	return len(name) > 0 && len(name) <= 63 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && strings.Trim(name, "-") == name
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New(`setting endpoint: want a URL such as "https://minio.example.com:9000"`)
	case u.User != nil:
		return errors.New("setting endpoint: it has a user in it, which does not belong there")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New(`setting endpoint: it has a "?" or "#"`)
	}
	return nil
}

// bucket is the Remote.
type bucket struct {
	options
	// url names it in errors.
	url string
	// prefix is that of every key; it is empty or ends in "/".
	prefix string

	// tune sets up a transport.
	tune func(*http.Transport)

	// turn is held by who connects.
	turn chan struct{}
	// link is what the last connect made.
	link atomic.Pointer[link]
	// known says that the bucket has answered as one that is there.
	known atomic.Bool
}

// link is a client and what it was made for.
type link struct {
	client    *s3.Client
	transport *http.Transport
	region    string
	// custom says that it speaks to an endpoint that is not of AWS, as far as known.
	custom bool
}

// key returns the key of a file.
func (b *bucket) key(op, name string) (*string, error) {
	if err := remote.CheckName(name); err != nil {
		return nil, &remote.Error{Op: op, Remote: b.url, Err: err}
	}
	key := b.prefix + name
	return &key, nil
}

// Close implements remote.Remote.
func (b *bucket) Close() error {
	if l := b.link.Load(); l != nil {
		l.transport.CloseIdleConnections()
	}
	return nil
}
