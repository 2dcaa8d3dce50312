#!/usr/bin/env bash
# kept push and pull beside DVC and rclone on one S3 server, and beside git-lfs as well in a folder:
# times, bytes and requests, as Markdown. The server is built on first use; it listens on loopback and ends with the script.
#
#     hack/bench-remote.sh                                    # 1 GiB and 50,000 files; half an hour
#     hack/bench-remote.sh -n 1 -size 67108864 -files 2000    # a look, some minutes
#
# Runs the program of `make build`. TMPDIR says on which disk: about 10 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
dvc=$(hack/venv.sh dvc-s3 hack/requirements/dvc-s3.txt)
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
AWS_EC2_METADATA_DISABLED=true
# rclone refuses to start with it, though no connection here has TLS.
unset AWS_CA_BUNDLE
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED
touch "$work/requests"
hack/servers/s3.sh "$work" "$port" --access-log "$work/requests" >"$work/log" 2>&1 &
server=$!
# Building it takes minutes the first time.
for _ in $(seq 6000); do
	if curl -s -o /dev/null "http://127.0.0.1:$port/"; then break; fi
	sleep 0.1
done
go build -o "$work/benchstore" ./hack/benchstore
"$work/benchstore" -kept "bin/kept$(go env GOEXE)" -dvc "$dvc" -only remote \
	-s3 "http://127.0.0.1:$port" -s3-dir "$work/buckets" -s3-log "$work/requests" "$@"
