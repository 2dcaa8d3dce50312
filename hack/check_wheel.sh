#!/usr/bin/env bash
# Installs a wheel into an empty environment, as a user would, and uses what it brings: the
# program, the module, and both together in a stage.
#
#     check_wheel.sh WHEEL
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 WHEEL" >&2; exit 2; }
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index "$wheel"
# Nothing else that this machine has takes part.
unset PYTHONPATH KEPT_BINARY
export PATH=$work/venv/bin:/usr/local/bin:/usr/bin:/bin HOME=$work GIT_CONFIG_NOSYSTEM=1
export GIT_CONFIG_GLOBAL=$work/gitconfig
printf '[user]\nname = Ada\nemail = ada@example.org\n' >"$GIT_CONFIG_GLOBAL"

[ "$(command -v kept)" = "$work/venv/bin/kept" ]
kept version
[ "$(python -m kept version)" = "$(kept version)" ]
python -c 'import kept'

mkdir "$work/project"
cd "$work/project"
git init -q
kept init
cat >train.py <<'PROGRAM'
import kept

kept.log_param("lr", 0.1)
kept.log_metric("loss", 0.5)
kept.save([1, 2, 3], "scores")
PROGRAM
cat >kept.toml <<'CONFIG'
[stage.train]
command   = "python train.py"
code      = ["train.py"]
artifacts = { scores = "scores.json" }
CONFIG
kept run
git add -A
git commit -q -m run
rm scores.json
python -c 'import kept; assert kept.load("scores", rev="HEAD") == [1, 2, 3]'
kept restore
kept verify
