#!/bin/sh
# Builds the wheel of one platform around a kept program that is built already:
#
#   build_wheel.sh GOOS GOARCH VERSION BINARY [FOLDER]
#
# VERSION is that of a release, or what `git describe` says of a commit.
# It prints the path of the wheel, which is written to FOLDER (dist). The same
# arguments and SOURCE_DATE_EPOCH give the same bytes.
set -eu

usage() { echo "usage: $0 GOOS GOARCH VERSION BINARY [FOLDER]" >&2; exit 2; }
[ $# -ge 4 ] && [ $# -le 5 ] || usage

# The program is static and asks little of a system: these are the oldest that Go itself runs on.
case $1/$2 in
linux/amd64)   platform=manylinux2014_x86_64.musllinux_1_1_x86_64 ;;
linux/arm64)   platform=manylinux2014_aarch64.musllinux_1_1_aarch64 ;;
darwin/amd64)  platform=macosx_12_0_x86_64 ;;
darwin/arm64)  platform=macosx_12_0_arm64 ;;
windows/amd64) platform=win_amd64 ;;
windows/arm64) platform=win_arm64 ;;
*) echo "error: no wheel platform for $1/$2" >&2; exit 2 ;;
esac
[ -f "$4" ] || { echo "error: no program $4" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
folder=${5:-dist}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A copy, so that the wheel has the same permissions whatever the umask here is, and no file that is not of the sources.
mkdir "$work/source" "$work/wheel"
cp -R "$here/kept" "$here/hatch_build.py" "$here/pyproject.toml" "$here/README.md" "$work/source"
find "$work/source" -name __pycache__ -type d -prune -exec rm -rf {} +
cp "$4" "$work/program"
chmod -R u=rwX,go=rX "$work/source"
chmod 755 "$work/program"

# A wheel's version is one by PEP 440: v1.2.3 is 1.2.3, v1.2.3-4-gabc is 1.2.3.post4+gabc, and a
# commit without a release behind it is a development version before all of them.
version=$(printf '%s\n' "${3#v}" | sed -E \
	-e 's/-dirty$/.dirty/' \
	-e 's/^([0-9][0-9.]*)-(a|b|rc)\.?([0-9]+)/\1\2\3/' \
	-e 's/^([0-9]+(\.[0-9]+)+[abrc0-9]*)-([0-9]+)-(g[0-9a-f]+)/\1.post\3+\4/' \
	-e '/^[0-9]+(\.[0-9]+)+/!s/^/0.0.0.dev0+g/' \
	-e 's/^([^+]*)\.dirty$/\1+dirty/')

export KEPT_WHEEL_BINARY="$work/program" KEPT_WHEEL_PLATFORM="$platform" KEPT_WHEEL_VERSION="$version"
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1577836800}" # 2020-01-01
"${PYTHON:-python3}" -m pip --disable-pip-version-check wheel --quiet --no-deps --no-cache-dir \
	--wheel-dir "$work/wheel" "$work/source" >&2
wheel=$(basename "$work"/wheel/*.whl)
mv "$work/wheel/$wheel" "$folder/$wheel"
echo "$folder/$wheel"
