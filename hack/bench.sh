#!/usr/bin/env bash
# kept against git on the clock: start-up, status, and checkout with and without the hooks.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./hack/bench -kept "$PWD/bin/kept$(go env GOEXE)" "$@"
