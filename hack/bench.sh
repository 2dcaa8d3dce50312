#!/usr/bin/env bash
# kept against git on the clock: start-up, status, checkout with and without the hooks, and a
# long history. DVC=1 fetches DVC into an environment of its own and measures it as well.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${DVC:-}" ]; then
	python=$(hack/venv.sh dvc hack/requirements/dvc.txt)
	set -- -dvc "$python" "$@"
fi
exec go run ./hack/bench -kept "$PWD/bin/kept$(go env GOEXE)" "$@"
