#!/usr/bin/env bash
# Tells kept's story on examples/sentiment, from nothing: two commits with two sets of
# parameters, then `git checkout` of the first one, and the proof that its vectorizer, its
# model and its predictions are back to the last bit. All of it happens in a temporary
# folder, which KEEP=1 leaves for a look. Exits 1 at the first thing that is not so.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
example=$root/examples/sentiment
artifacts="models/model.pkl models/vectorizer.pkl predictions.tsv"

fail() {
	printf '\ndemo: FAILED: %s\n' "$*" >&2
	exit 1
}

title() { printf '\n== %s\n\n' "$*"; }

# run prints a command line as a person would type it, then runs it.
run() {
	printf '$ %s\n' "$1"
	eval "$1" || fail "exit code $? of: $1"
}

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -c 1-64
}

# locked prints the BLAKE3 hash that the committed kept.lock has for the artifact at path $1.
locked() {
	git show HEAD:kept.lock | awk -v path="\"$1\"" '
		function block() { if (found) print hash; found = 0 }
		/^\[/ { block() }
		$1 == "path" && $3 == path { found = 1 }
		$1 == "hash" { hash = $3; gsub(/"|blake3:/, "", hash) }
		END { block() }'
}

# keep copies what is in the working tree to $aside/$1, outside of the repository and of kept.
keep() {
	mkdir -p "$aside/$1/models"
	for file in $artifacts; do
		[ -f "$file" ] || fail "$file is not in the working tree"
		cp "$file" "$aside/$1/$file"
		locked "$file" >"$aside/$1/$file.locked"
	done
	python predict.py --file ../reviews.txt >"$aside/$1/predict.txt"
}

# same checks that the two copies $1 and $2 are equal, byte by byte.
same() {
	for file in $artifacts; do
		cmp "$aside/$1/$file" "$aside/$2/$file" || fail "$file: $2 is not $1"
	done
	cmp "$aside/$1/predict.txt" "$aside/$2/predict.txt" || fail "predictions: $2 are not $1"
}

# --- the tools: kept itself, and a Python with scikit-learn

make -s -C "$root" build
if ! python=$("$root/hack/venv.sh" demo "$example/requirements.txt"); then
	python=$(command -v python3)
	"$python" -c 'import sklearn, sys; sys.version_info >= (3, 11) or __import__("tomli")' 2>/dev/null ||
		fail "no Python with scikit-learn: it cannot be installed now and $python has none"
	echo "using the scikit-learn of $python" >&2
fi

work=$(mktemp -d)
cleanup() {
	if [ "${KEEP:-}" = 1 ]; then
		printf '\nkept for a look: %s\n' "$work"
	else
		chmod -R u+w "$work"
		rm -rf "$work"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
aside=$work/aside
mkdir -p "$aside" "$work/bin" "$work/sentiment/data"
# Not a link: a virtual environment is found beside the path that Python is called by.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$work/bin/python"
chmod +x "$work/bin/python"

# Nothing of the user's own set-up (hooks, signing, templates) shall play a part.
for name in $(env | sed -n 's/^\(GIT_[A-Z0-9_]*\)=.*/\1/p; s/^\(KEPT_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$work/gitconfig
git config --global init.defaultBranch main
git config --global user.name Demo
git config --global user.email demo@example.com
git config --global advice.detachedHead false
git config --global core.pager cat
export PATH=$work/bin:$root/bin:$PATH PYTHONPATH=$root/python KEPT_BINARY=$root/bin/kept
export PYTHONDONTWRITEBYTECODE=1

cat >"$work/reviews.txt" <<'REVIEWS'
Lovely room, and the staff were not rude at all.
The soup was cold and nobody apologised.
I can't recommend this phone.
Not the best coffee, but the cake is wonderful.
Great, another delay.
REVIEWS

title "A repository with the example in it"
cd "$work/sentiment"
for file in .gitignore README.md kept.toml params.toml requirements.txt data/reviews.tsv \
	evaluate.py features.py predict.py reviews.py train.py; do
	cp "$example/$file" "$file"
done
run 'git init -q'
run 'ls'
run 'kept init'

title "First commit: single words"
run 'kept run'
run 'git add -A'
run 'git commit -qm "single words"'
run 'python predict.py --file ../reviews.txt'
keep first

title "Second commit: pairs of words too"
run 'kept run -p tfidf.ngram_max=2'
run 'git status --short'
run 'git commit -qam "pairs of words"'
run 'kept diff HEAD~1 HEAD'
keep second

title "Back to the first commit, with Git and nothing else"
run 'git checkout -q HEAD~1'
keep now
run 'python predict.py --file ../reviews.txt'
run 'git status --short'
[ -z "$(git status --porcelain)" ] || fail "the working tree is not clean after git checkout"
run 'kept verify'

title "And forth again"
run 'git checkout -q main'
keep main

title "What sha256sum says about the files (first 16 digits)"
row='%-22s %-17s %-17s %s\n'
# shellcheck disable=SC2059 # the format is the line above
{
	printf "$row" "" "first run" "second run" "HEAD~1, restored"
	for file in $artifacts; do
		printf "$row" "$file" "$(sha256 "$aside/first/$file" | cut -c 1-16)" \
			"$(sha256 "$aside/second/$file" | cut -c 1-16)" "$(sha256 "$aside/now/$file" | cut -c 1-16)"
	done
}

# A restore proves nothing unless the second commit's files were different ones.
for file in $artifacts predict.txt; do
	! cmp -s "$aside/first/$file" "$aside/second/$file" || fail "$file: both runs made the same"
done
same first now
same second main
if command -v b3sum >/dev/null; then
	for file in $artifacts; do
		sum=$(b3sum --no-names "$aside/now/$file")
		[ "$sum" = "$(cat "$aside/first/$file.locked")" ] || fail "$file: b3sum does not give the hash of kept.lock"
	done
	checked="the hashes of kept.lock are what b3sum says of the files"
else
	checked="b3sum is not installed, so only kept verify has checked the hashes"
fi

echo
echo "lock         $checked"
echo "second       $(echo "$artifacts" | wc -w | tr -d ' ') artifacts after git checkout main: byte-identical"
echo "first        $(echo "$artifacts" | wc -w | tr -d ' ') artifacts after git checkout HEAD~1: byte-identical"
echo "first        $(wc -l <"$aside/now/predict.txt" | tr -d ' ') predictions after git checkout HEAD~1: equal to the last bit"
