#!/usr/bin/env bash
# Plays five pull requests of the sentiment example with real runs, and writes what the gate
# says of each: a better model, a worse one, two branches that merge by themselves, two that
# conflict, and a regression that the team accepts.
#
#     examples/review/build.sh            # plays, checks every exit status, and prints
#     examples/review/build.sh --update   # and puts the reports into README.md
#
# It happens in a temporary folder, which KEEP=1 leaves for a look.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
example=$root/examples/sentiment
update=${1:-}

fail() {
	printf '\nreview: FAILED: %s\n' "$*" >&2
	exit 1
}

title() { printf '\n== %s\n\n' "$*"; }

# run prints a command line as a person would type it, and runs it.
run() {
	printf '$ %s\n' "$1"
	eval "$1" || fail "exit status $? of: $1"
}

# expect is run for a command that ends with the status $1.
expect() {
	local status=0
	printf '$ %s\n' "$2"
	eval "$2" || status=$?
	[ "$status" = "$1" ] || fail "exit status $status, not $1, of: $2"
}

# commit records and commits as somebody at a fixed time, so that equal content has an equal id.
clock=1700000000
commit() {
	clock=$((clock + 3600))
	export GIT_AUTHOR_DATE="$clock +0000" GIT_COMMITTER_DATE="$clock +0000"
	git add -A
	git commit -qm "$1"
}

# gate judges the branch that is checked out as a pull request to main, ends with status $1,
# and writes its reports as ../reports/$2.
gate() {
	expect "$1" "kept gate --base main --report md=../reports/$2.md --report html=../reports/$2.html"
}

# --- the tools: kept itself, and a Python with scikit-learn

make -s -C "$root" build
python=$("$root/hack/venv.sh" demo "$example/requirements.txt") || fail "no Python with scikit-learn"

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
out=$work/reports
mkdir -p "$out" "$work/bin" "$work/sentiment/data"
# Not a link: a virtual environment is found beside the path that Python is called by.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$work/bin/python"
chmod +x "$work/bin/python"

# Nothing of the user's own set-up (hooks, signing, templates) shall play a part.
for name in $(env | sed -n 's/^\(GIT_[A-Z0-9_]*\)=.*/\1/p; s/^\(KEPT_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done
unset GITHUB_ACTIONS GITLAB_CI
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$work/gitconfig
git config --global init.defaultBranch main
git config --global user.name "A Reviewer"
git config --global user.email reviewer@example.com
git config --global advice.detachedHead false
git config --global core.pager cat
export PATH=$work/bin:$root/bin:$PATH PYTHONPATH=$root/python KEPT_BINARY=$root/bin/kept
export PYTHONDONTWRITEBYTECODE=1

cd "$work/sentiment"
for file in .gitignore kept.toml params.toml requirements.txt data/reviews.tsv \
	evaluate.py features.py reviews.py train.py; do
	cp "$example/$file" "$file"
done

title "main: a model that does not know negations"
run 'git init -q'
run 'kept init'
run 'kept run -p tfidf.negation=false'
commit "a first model"

title "A better model"
run 'git switch -qc negations'
run 'kept run -p tfidf.negation=true'
commit "tell \"not good\" from \"good\""
gate 0 better

title "A worse model"
run 'git switch -q main'
run 'git merge -q --ff-only negations'
run 'git switch -qc strong-penalty'
run 'kept run -p model.C=0.05'
commit "penalise harder"
gate 1 worse

title "Two branches that touch different stages merge by themselves"
run 'git switch -q main'
run 'git switch -qc lengths'
cat >lengths.py <<'PYTHON'
"""Count the words of the reviews."""

import json
import statistics

from reviews import read_reviews

lengths = [len(text.split()) for text in read_reviews()[0]]
with open("lengths.json", "w", encoding="utf-8") as file:
    json.dump({"words": {"median": statistics.median(lengths), "longest": max(lengths)}}, file)
PYTHON
cat >>kept.toml <<'TOML'

[stage.lengths]
command = "python lengths.py"
code    = ["lengths.py", "reviews.py"]
inputs  = ["data/reviews.tsv"]
metrics = ["lengths.json"]
TOML
run 'kept run lengths'
commit "look at the lengths of the reviews"
run 'git switch -qc weak-penalty main'
run 'kept run -p model.C=8.0'
commit "penalise less"
run 'git merge -q --no-edit lengths'
run 'kept status'
run 'kept verify'
gate 0 merged

title "Two branches that train the same stage conflict, and one of them runs again"
run 'git switch -q main'
run 'git switch -qc fewer-terms'
run 'kept run -p tfidf.min_df=3'
commit "drop rare words"
expect 1 'git merge -q --no-edit weak-penalty'
expect 2 'kept diff'
run 'kept resolve'
run 'kept resolve --rerun'
run 'git status --short'
clock=$((clock + 3600))
GIT_AUTHOR_DATE="$clock +0000" GIT_COMMITTER_DATE="$clock +0000" git commit -q --no-edit
run 'kept status'
gate 0 resolved

title "A regression that the team accepts"
run 'git switch -qc small main'
run 'kept run -p tfidf.min_df=5'
commit "a model for phones"
gate 1 refused
run "kept gate --base main --accept evaluate.accuracy --reason 'a third of the size, which is what the phone needs'"
run 'git diff -U0 kept.toml'
commit "accept the smaller model's accuracy"
gate 0 accepted

title "The history of all that"
run 'kept log evaluate.accuracy'
run 'kept blame evaluate.accuracy'
run "kept bisect evaluate.accuracy --when '< 0.9'"

[ "$update" = --update ] || exit 0
python - "$here/README.md" "$out" <<'PYTHON'
import pathlib
import re
import sys

readme, reports = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def report(match):
    text = (reports / f"{match[1]}.md").read_text(encoding="utf-8")
    return f"<!-- report {match[1]} -->\n{text}<!-- end of the report -->"


text = readme.read_text(encoding="utf-8")
text, n = re.subn(r"<!-- report (\w+) -->\n.*?<!-- end of the report -->", report, text, flags=re.S)
assert n, "README.md has no place for a report"
readme.write_text(text, encoding="utf-8")
PYTHON
