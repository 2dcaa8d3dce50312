#!/usr/bin/env bash
# kept's store beside git-lfs, git-annex, restic, borg and DVC, and beside what the machine can
# do at best: time and stored bytes, as Markdown. DVC and pyarrow are fetched into environments
# of their own; of the others, those that are missing are named with the package to install.
#
#     hack/bench-store.sh                                          # weights, files, start, sizes
#     hack/bench-store.sh -only million -n 1                       # a million files; some GB, minutes
#     hack/bench-store.sh -n 1 -size 67108864 -files 2000          # a look, about a minute
#
# Builds nothing. TMPDIR says on which disk: about 10 GB, and ten files for each small one.
set -euo pipefail
cd "$(dirname "$0")/.."
if dvc=$(hack/venv.sh dvc hack/requirements/dvc.txt); then
	set -- -dvc "$dvc" "$@"
fi
if arrow=$(hack/venv.sh parquet hack/requirements/parquet.txt); then
	set -- -arrow "$arrow" "$@"
fi
# Built and not `go run`, which would answer an interrupt before the temporary folder is gone.
tool=$(mktemp -d)/benchstore
trap 'rm -rf "$(dirname "$tool")"' EXIT
go build -o "$tool" ./hack/benchstore
"$tool" -kept "bin/kept$(go env GOEXE)" "$@"
