package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/kept-dev/kept/cas/remote"
)

// firstRegion is the one that knows the buckets of all others, and the one that
// servers which know of no regions take.
const firstRegion = "us-east-1"

// call does what do does with a client, and makes an *Error of what goes wrong. Where
// no setting says in which region the bucket is, it follows once to where it is.
func (b *bucket) call(ctx context.Context, op, name string, do func(*link) error) error {
	l, err := b.connect(ctx, "")
	if err == nil {
		err = do(l)
	}
	if region := namedRegion(err); region != "" && l != nil && b.region == "" && !l.custom && region != l.region {
		if l, err = b.connect(ctx, region); err == nil {
			err = do(l)
		}
	}
	if err != nil {
		return b.failure(ctx, op, name, err)
	}
	b.known.Store(true)
	return nil
}

// connect returns the link that there is, or makes one: the first one, or one to a
// region that was found out.
func (b *bucket) connect(ctx context.Context, region string) (*link, error) {
	if l := b.link.Load(); l != nil && (region == "" || l.region == region) {
		return l, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l := b.link.Load(); l != nil && (region == "" || l.region == region) {
		return l, nil
	}
	l, err := b.newLink(ctx, region)
	if err != nil {
		return nil, err
	}
	if old := b.link.Swap(l); old != nil {
		old.transport.CloseIdleConnections()
	}
	return l, nil
}

func (b *bucket) newLink(ctx context.Context, region string) (*link, error) {
	cfg, err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	if region != "" {
		cfg.Region = region
	}
	// Loading has put the certificates of AWS_CA_BUNDLE into the transport.
	built, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil, fmt.Errorf("a client of type %T", cfg.HTTPClient)
	}
	l := &link{transport: built.GetTransport()}
	cfg.HTTPClient = &client{http.Client{Transport: l.transport, CheckRedirect: stay}}
	l.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		if b.endpoint != "" {
			o.BaseEndpoint = &b.endpoint
		}
		l.custom = o.BaseEndpoint != nil
		o.UsePathStyle = l.custom
		if b.hosted != nil {
			o.UsePathStyle = !*b.hosted
		}
		if o.Region == "" {
			o.Region = firstRegion
		}
		l.region = o.Region
		o.Retryer = aws.NopRetryer{} // who calls knows more about what to try again
		// Put has its own checksums, and whoever reads verifies what was read.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	if cfg.Region == "" && !l.custom {
		return b.find(ctx, l)
	}
	return l, nil
}

// load reads the environment and the shared files. It asks nobody.
func (b *bucket) load(ctx context.Context) (aws.Config, error) {
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithDialerOptions(dialing).WithTransportOptions(b.tune)),
		config.WithLogger(logging.Nop{}),
		config.WithRegion(b.region),
		config.WithSharedConfigProfile(b.profile),
	}
	if b.anonymous {
		load = append(load, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return cfg, &credentialsError{err}
	}
	if b.role != "" {
		here := cfg.Copy()
		if here.Region == "" {
			here.Region = firstRegion
		}
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(here), b.role))
	}
	if !b.anonymous {
		cfg.Credentials = provider{cfg.Credentials}
	}
	return cfg, nil
}

// find returns a link to the region in which the bucket is, which every region tells
// everybody.
func (b *bucket) find(ctx context.Context, l *link) (*link, error) {
	out, err := l.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.bucket}, func(o *s3.Options) { o.Credentials = nil })
	region := namedRegion(err)
	if err == nil {
		region = aws.ToString(out.BucketRegion)
	}
	switch {
	case region != "" && region != l.region && isRegion(region):
		l.transport.CloseIdleConnections()
		return b.newLink(ctx, region)
	case region == l.region:
		return l, nil
	case status(err) == http.StatusNotFound:
		return nil, fmt.Errorf("%w: no bucket %q among those that %s knows; elsewhere it needs the setting region", remote.ErrNoRemote, b.bucket, firstRegion)
	case status(err) == 0:
		return nil, err
	}
	return nil, fmt.Errorf("%w: the region of the bucket can't be found out: set region", remote.ErrAddress)
}

// client keeps what a server says of an error in bounds: the SDK reads all of it. A large body it
// announces, so that a server can refuse it before it is sent.
type client struct{ http.Client }

func (c *client) Do(request *http.Request) (*http.Response, error) {
	// The SDK asks for that, and leaves out the version without which net/http does not wait.
	request.Proto, request.ProtoMajor, request.ProtoMinor = "HTTP/1.1", 1, 1
	response, err := c.Client.Do(request)
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, errorSize), response.Body}
	}
	return response, err
}

const errorSize = 64 << 10

// stay follows nobody anywhere: what is signed is for one host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func dialing(d *net.Dialer) { d.Timeout = 15 * time.Second }

// tune makes a transport fit for many long bodies side by side.
func tune(t *http.Transport) {
	// One stream of HTTP/2 after the other on a single connection is slower than connections side by side.
	t.ForceAttemptHTTP2 = false
	t.Proxy = http.ProxyFromEnvironment
	t.DisableCompression = true
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 0, 64, 0
	t.ResponseHeaderTimeout = 2 * time.Minute
	t.ReadBufferSize, t.WriteBufferSize = 128<<10, 128<<10
}

// provider marks what is wrong with credentials, which the SDK wraps into what it says of
// the request that needed them.
type provider struct{ aws.CredentialsProvider }

func (p provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, &credentialsError{err}
	}
	return c, nil
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

var errNoCredentials = errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the setting profile, or anonymous for a public bucket")
