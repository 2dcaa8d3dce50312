#!/usr/bin/env bash
# One CI job of kept, on GitHub, GitLab or anywhere: is kept.lock true, and is it good enough?
#
#     kept verify --all    what is here must be as kept.lock says
#     kept gate --all      no metric may be worse than kept.toml allows
#     reports, annotations, the step summary, one comment
#     exit 0 passed, 1 failed, 2 cannot be run, 3 inconclusive
#
# A clone has what Git keeps: code, params, kept.lock. It lacks the artifacts, which are ignored files, and
# the store below .git, unless the job pulls them. So that verify finds things missing is said and is no failure, and that it finds a
# difference, such as code that was edited after the run, is one, whatever the gate says.
#
# Everything is given by variables, never by text pasted into a script:
#   KEPT_BINARY        kept; else the one on PATH, else it is built from the folder above, with Go
#   KEPT_BASE          what to compare with; else kept finds it, see docs/spec/base.md
#   KEPT_COMMENT       "false" leaves the pull request alone
#   KEPT_KEY           tells this comment from those of other jobs
#   KEPT_GITHUB_TOKEN, KEPT_GITLAB_TOKEN   who comments
#   KEPT_PULL          "true" brings the artifacts from the remote that kept.toml names, with the job's
#                      credentials, so that verify reads them too
#   KEPT_REPORTS       the folder for reports; the default is kept-report
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The token is for comment.py alone: no other program gets it.
github_token=${KEPT_GITHUB_TOKEN-}
gitlab_token=${KEPT_GITLAB_TOKEN-}
unset KEPT_GITHUB_TOKEN KEPT_GITLAB_TOKEN

host=none
[ "${GITHUB_ACTIONS-}" != true ] || host=github
[ "${GITLAB_CI-}" != true ] || host=gitlab

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# say LEVEL TEXT prints a line, on GitHub as an annotation. TEXT is our own: what comes out of the
# repository is shown by quote only.
say() {
	if [ "$host" = github ]; then
		printf '::%s title=kept::%s\n' "$1" "$2"
	else
		printf 'kept: %s: %s\n' "$1" "$2" >&2
	fi
}

# stop TEXT ends the job where nothing can be said about the lock.
stop() {
	say error "$1"
	output verdict error
	output exit-code 2
	exit 2
}

output() { [ -z "${GITHUB_OUTPUT-}" ] || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

# quote TITLE FILE prints what kept said. GitHub acts on lines such as "::error::", which a name in the
# repository could make, so it is told to stop listening, until a word that nobody can guess.
quote() {
	local word
	if [ "$host" != github ]; then
		printf '\n$ %s\n' "$1"
		cat "$2"
		return
	fi
	word=kept-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	printf '::group::%s\n::stop-commands::%s\n' "$1" "$word"
	cat "$2"
	printf '\n::%s::\n::endgroup::\n' "$word"
}

# trust lets Git read a checkout that belongs to another user, as in a job that runs in a container.
trust() {
	local folder=$PWD n=${GIT_CONFIG_COUNT:-0}
	[ "$host" != none ] || return 0
	while [ ! -e "$folder/.git" ] && [ "$folder" != "${folder%/*}" ]; do folder=${folder%/*}; done
	export "GIT_CONFIG_KEY_$n=safe.directory" "GIT_CONFIG_VALUE_$n=$folder" "GIT_CONFIG_COUNT=$((n + 1))"
}

# find_kept sets kept to the program.
find_kept() {
	if [ -n "${KEPT_BINARY-}" ]; then
		kept=$(command -v -- "$KEPT_BINARY") || stop "the binary that was given is no program"
	elif kept=$(command -v kept); then
		:
	elif command -v go >/dev/null; then
		build
	else
		stop "there is no kept: put it on PATH, as pip install kept does, or install Go, with which it is built"
	fi
	case $kept in
	/* | [A-Za-z]:*) ;;
	*) kept=$PWD/$kept ;;
	esac
	"$kept" version >"$scratch/version" 2>&1 || { quote "kept version" "$scratch/version"; stop "kept does not start"; }
	cat "$scratch/version"
}

# build makes kept with the Go of the runner, whatever the project sets up for its own builds. On GitHub it
# stays for the steps that follow.
build() {
	local bin=$scratch/bin version
	local root=${here%/*}
	if [ "$host" = github ] && [ -n "${RUNNER_TEMP-}" ]; then
		bin=$RUNNER_TEMP/kept-bin
		[ -z "${GITHUB_PATH-}" ] || printf '%s\n' "$bin" >>"$GITHUB_PATH"
	fi
	# The folder that GitHub unpacks an action into is named after the revision.
	version=${root##*/}
	[ ! -e "$root/.git" ] || version=$(git -C "$root" describe --tags --always 2>/dev/null) || version=unknown
	version=$(printf '%s' "$version" | tr -cd 'A-Za-z0-9._+-')
	kept=$bin/kept$(env -u GOOS -u GOARCH go env GOEXE)
	if ! (cd "$root" && env -u GOOS -u GOARCH CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOTOOLCHAIN=auto \
		go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$kept" ./cmd/kept) >"$scratch/build" 2>&1; then
		quote "go build" "$scratch/build"
		stop "kept could not be built"
	fi
}

# prepare makes the folder of the reports and empties it of an earlier run's.
prepare() {
	local name
	if [ -z "${KEPT_REPORTS-}" ] && [ "$host" = github ] && [ -n "${RUNNER_TEMP-}" ]; then
		reports=$(mktemp -d "$RUNNER_TEMP/kept-report.XXXXXX")
	else
		reports=${KEPT_REPORTS:-kept-report}
		[ ! -L "$reports" ] || stop "the folder for the reports is a symbolic link"
		mkdir -p "$reports"
	fi
	for name in comment.md gate.md gate.html gate.json junit.xml metrics.txt annotations.txt gate.txt verify.txt pull.txt; do
		rm -f "$reports/$name"
	done
	output reports "$reports"
}

# pull brings what each kept.lock names. What could not be had, verify finds missing.
pull() {
	local lock status=0
	[ "${KEPT_PULL-}" = true ] || return 0
	while IFS= read -r -d '' lock; do
		(cd "$(dirname -- "./$lock")" && "$kept" remote trust && "$kept" pull) >>"$reports/pull.txt" 2>&1 || status=$?
	done < <(git ls-files -z -- kept.lock '**/kept.lock')
	[ ! -e "$reports/pull.txt" ] || quote "kept pull" "$reports/pull.txt"
	[ "$status" = 0 ] || say warning "not all of the artifacts could be pulled, exit code $status"
}

verify() {
	verify_status=0
	"$kept" verify --all >"$reports/verify.txt" 2>&1 || verify_status=$?
	quote "kept verify --all" "$reports/verify.txt"
	local counts
	counts=$(tail -n 1 "$reports/verify.txt" | tr -cd 'A-Za-z0-9, ')
	case $verify_status in
	0) ;;
	1) say error "kept.lock is not of what lies beside it: $counts" ;;
	3) say notice "nothing differs from kept.lock; what this clone does not have, such as artifacts, was not read: $counts" ;;
	*) say error "kept verify could not be run, exit code $verify_status" ;;
	esac
}

gate() {
	local base=()
	[ -z "${KEPT_BASE-}" ] || base=("--base=$KEPT_BASE")
	gate_status=0
	"$kept" gate --all ${base[@]+"${base[@]}"} \
		--report "markdown=$reports/gate.md" --report "html=$reports/gate.html" --report "json=$reports/gate.json" \
		--report "junit=$reports/junit.xml" --report "openmetrics=$reports/metrics.txt" \
		--report "github=$reports/annotations.txt" >"$reports/gate.txt" 2>&1 || gate_status=$?
	quote "kept gate --all" "$reports/gate.txt"
	if [ ! -e "$reports/gate.md" ]; then
		say error "kept gate could not be run, exit code $gate_status"
		# Whatever ended with these, it was not a gate.
		case $gate_status in 0 | 1 | 3) gate_status=2 ;; esac
	elif [ "$host" = github ] && [ -e "$reports/annotations.txt" ]; then
		cat "$reports/annotations.txt"
	fi
}

# judge sets status. Only a verification that found nothing wrong leaves the word to the gate.
judge() {
	status=$gate_status
	case $verify_status in
	0 | 3) ;;
	*) case $gate_status in 0 | 3) status=$verify_status ;; esac ;;
	esac
	case $status in
	0) verdict=passed ;;
	1) verdict=failed ;;
	3) verdict=inconclusive ;;
	*) verdict=error ;;
	esac
	output verdict "$verdict"
	output exit-code "$status"
}

# fenced FILE prints the first lines of a file as a block of code that nothing in it can end.
fenced() {
	head -n 30 "$1" | cut -c 1-300 | awk '
		{
			lines[NR] = $0
			for (text = $0; match(text, /`+/); text = substr(text, RSTART + RLENGTH))
				if (RLENGTH > longest) longest = RLENGTH
		}
		END {
			fence = "```"
			while (length(fence) <= longest) fence = fence "`"
			print fence "text"
			for (i = 1; i <= NR; i++) print lines[i]
			print fence
		}'
}

# compose writes what is shown to people: the report, and before it what it does not know of.
compose() {
	local marker='<!-- kept:report key=gate -->'
	[ ! -e "$reports/gate.md" ] || marker=$(head -n 1 "$reports/gate.md")
	{
		printf '%s\n' "$marker"
		case $verify_status in
		0 | 3) ;;
		1)
			printf '### kept: kept.lock is not of what lies beside it\n\n'
			fenced "$reports/verify.txt"
			# shellcheck disable=SC2016 # the backticks are Markdown
			printf '\n`kept run` brings it up to date.\n\n'
			;;
		*)
			printf '### kept: kept verify could not be run · exit code %s\n\n' "$verify_status"
			fenced "$reports/verify.txt"
			printf '\n'
			;;
		esac
		if [ -e "$reports/gate.md" ]; then
			tail -n +2 "$reports/gate.md"
		else
			printf '### kept: the gate could not be run · exit code %s\n\n' "$gate_status"
			fenced "$reports/gate.txt"
		fi
	} >"$reports/comment.md"
	[ -z "${GITHUB_STEP_SUMMARY-}" ] || cat "$reports/comment.md" >>"$GITHUB_STEP_SUMMARY"
}

# comment has no say in the verdict.
comment() {
	local python
	case $host-${KEPT_COMMENT:-true} in
	none-* | *-false) return 0 ;;
	esac
	python=$(command -v python3 || command -v python) || {
		say warning "no comment: there is no Python 3"
		return 0
	}
	# -I: nothing of the checkout is imported.
	KEPT_GITHUB_TOKEN=$github_token KEPT_GITLAB_TOKEN=$gitlab_token \
		"$python" -I "$here/comment.py" "$host" "$reports/comment.md" --key "${KEPT_KEY-}" || :
}

trust
find_kept
prepare
pull
verify
gate
judge
compose
comment
exit "$status"
