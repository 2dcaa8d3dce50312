#!/usr/bin/env bash
# Prints the interpreter of a private environment with the given requirement files
# installed, made on the first call and kept in the user's cache for the next ones:
#
#     python=$(hack/venv.sh test hack/requirements/test.txt) && "$python" -m pytest
#
# The folder's name carries a checksum of the requirements, so a changed pin is a new folder.
set -euo pipefail

name=$1
shift
base=${PYTHON:-python3}
version=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
sum=$(cat -- "$@" | cksum | cut -d ' ' -f 1)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/kept-$name/python$version-$sum

if ! "$venv/bin/python" -c '' 2>/dev/null; then
	# Made under another name and renamed when complete: neither an interrupted call nor a
	# second one at the same time leaves or uses half an environment.
	new=$venv.$$
	trap 'rm -rf "$new"' EXIT
	files=()
	for file in "$@"; do files+=(-r "$file"); done
	echo "making $venv" >&2
	mkdir -p "$(dirname "$venv")"
	rm -rf "$venv"
	"$base" -m venv "$new" >&2
	"$new/bin/python" -m pip install --quiet --disable-pip-version-check \
		--only-binary :all: "${files[@]}" >&2
	mv -n "$new" "$venv"
fi
echo "$venv/bin/python"
