#!/usr/bin/env bash
# Runs every FuzzXxx of every package for FUZZTIME (default 10s) each.
set -euo pipefail

cd "$(dirname "$0")/.."
time=${FUZZTIME:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

grep -rl --include='*_test.go' '^func Fuzz' . | sed 's,/[^/]*$,,' | sort -u | while read -r package; do
	grep -h '^func Fuzz' "$package"/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/' | while read -r target; do
		echo "fuzz $package $target"
		for try in 1 2 3 4; do
			if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null >"$log" 2>&1; then
				tail -n 2 "$log"
				break
			fi
			# The deadline can hit while an input runs; go test then calls that a failure. It is
			# one only if there is an input that fails, or if it happens again and again.
			if [ $try = 4 ] || grep -q 'Failing input written' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
				cat "$log"
				exit 1
			fi
		done
	done
done
