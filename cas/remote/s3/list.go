package s3

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/kept-dev/kept/cas/remote"
)

// List implements remote.Remote.
func (b *bucket) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if err := remote.CheckPrefix(prefix); err != nil {
		return &remote.Error{Op: "list", Remote: b.url, Err: err}
	}
	// Encoded, because some keys can't be in XML at all, and one of those would hide all.
	in := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: aws.String(b.prefix + prefix), EncodingType: types.EncodingTypeUrl}
	for {
		var out *s3.ListObjectsV2Output
		err := b.call(ctx, "list", prefix, func(l *link) error {
			var err error
			out, err = l.client.ListObjectsV2(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		if err := b.eachOf(out, each); err != nil {
			return err
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		next := aws.ToString(out.NextContinuationToken)
		if next == "" || next == aws.ToString(in.ContinuationToken) {
			return b.failure(ctx, "list", prefix, errors.New("the server says that there is more, and not how to get it"))
		}
		in.ContinuationToken = &next
	}
}

// eachOf calls each for the files of one answer.
func (b *bucket) eachOf(out *s3.ListObjectsV2Output, each func(remote.Info) error) error {
	for _, object := range out.Contents {
		key := aws.ToString(object.Key)
		if out.EncodingType == types.EncodingTypeUrl {
			decoded, err := url.QueryUnescape(key)
			if err != nil {
				continue // no name of ours has anything to encode
			}
			key = decoded
		}
		name, ok := strings.CutPrefix(key, b.prefix)
		if !ok || remote.CheckName(name) != nil {
			continue
		}
		size := int64(-1)
		if object.Size != nil {
			size = *object.Size
		}
		if err := each(remote.Info{Name: name, Size: size}); err != nil {
			return err
		}
	}
	return nil
}
