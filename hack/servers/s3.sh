#!/usr/bin/env bash
# An S3 server on loopback, with a bucket named models, until it is interrupted:
#
#     AWS_ACCESS_KEY_ID=me AWS_SECRET_ACCESS_KEY=secret hack/servers/s3.sh FOLDER PORT [FLAG...]
#
# The flags are the server's own.
set -euo pipefail
dir=$(realpath -m "$1") port=$2
shift 2
cd "$(dirname "$0")/../.."
mkdir -p "$dir/buckets/models" "$dir/metadata"
CGO_ENABLED=0 go build -modfile=hack/servers/s3.mod -o "$dir/versitygw" github.com/versity/versitygw/cmd/versitygw
exec "$dir/versitygw" --port "127.0.0.1:$port" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --keep-alive --quiet "$@" \
	posix --sidecar "$dir/metadata" "$dir/buckets"
