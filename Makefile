# What there is to do with this repository. Go, Python 3 and Git are all that has to be
# there; the rest is fetched on first use into the user's cache, never into the system.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s
WHEELS   ?= $(shell go env GOOS)/$(shell go env GOARCH)
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
EXE      := $(shell go env GOEXE)

# golangci-lint has a module file of its own, so that its dependencies are not kept's.
LINT     := go tool -modfile=lint.mod golangci-lint
# A pipe fails when its first command does: that is what the shell is bash for.
SHELL    := bash -o pipefail

LINT_PYTHON = $(shell hack/venv.sh lint hack/requirements/lint.txt hack/requirements/test.txt)
TEST_PYTHON = $(shell hack/venv.sh test hack/requirements/test.txt examples/sentiment/requirements.txt)

# The tests of the Python module run the program too: with the one that was just built.
PYTEST_ENV = KEPT_BINARY=$(CURDIR)/bin/kept$(EXE) PYTHONPATH=$(CURDIR)/python:$(CURDIR)/hack:$(CURDIR)/ci/tests

.PHONY: build demo review test test-go test-python servers lint fmt fmt-check fuzz faults bench bench-store bench-remote wheel check-wheel cross clean

build: ## the static binary, bin/kept
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kept$(EXE) ./cmd/kept

demo: ## the story: two commits, a checkout, and the proof
	hack/demo.sh

review: ## pull requests played with real runs: better, worse, merged, in conflict, accepted
	examples/review/build.sh

test: test-go test-python ## all tests

# The tests of cmd/kept start the program hundreds of times, and a program with the race
# detector in it takes a second to end. What runs side by side is in the packages below.
test-go: servers ## RACE=1 with the race detector
	go vet ./...
	{ go test -json -timeout 40m $(if $(RACE),-race) $$(go list ./... | grep -v /cmd/) && go test -json -timeout 40m ./cmd/...; } | go run ./hack/skips

test-python: build
	$(PYTEST_ENV) "$(TEST_PYTHON)" -m pytest -p disallow_skip -rs --no-fold-skipped python/tests ci/tests

# Built here and not by the first test that wants them, whose time would be over.
servers: ## the servers of others that tests of remotes start, into the user's cache
	go test -count=1 -run TestServers -timeout 40m ./cas/remote/remotetest

lint: ## golangci-lint (compiled on first use, some minutes), ruff, mypy
	$(LINT) run ./...
	cd python && "$(LINT_PYTHON)" -m ruff check . ../examples ../hack ../ci && "$(LINT_PYTHON)" -m mypy --strict && "$(LINT_PYTHON)" -m mypy --strict ../ci

fmt: ## write all code in its standard form
	$(LINT) fmt ./...
	"$(LINT_PYTHON)" -m ruff format python examples hack ci

fmt-check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not gofmt'ed: $$bad"; exit 1; }
	"$(LINT_PYTHON)" -m ruff format --check python examples hack ci

fuzz: ## every fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) hack/fuzz.sh

# The same tests are in "make test", with few rounds. Each prints its seed; FAULTS_SEED repeats it.
faults: ## disks that fail, kills, full disks, power cuts, remotes out of reach, a soak: FAULTS_KILLS=10000 FAULTS_ROUNDS=1000 FAULTS_SIZES=500 FAULTS_CUTS=1000 FAULTS_CALLS=1 FAULTS_BITS=all FAULTS_SOAK=2h
	go test -count=1 -v -timeout 0 ./cas/disktest
	go test -count=1 -v -timeout 0 ./cas/pack -run 'TestEveryBit|TestEveryOperation|TestIndex'
	go test -count=1 -v -timeout 0 $(if $(RACE),-race) ./cas -run 'TestFaults|TestPowerCuts|TestFlippedReads|TestCollect|TestCommitAfterSalvage|TestFolders|TestTogether|TestDamage|TestEveryBit|TestKilled|TestSmallDisk'
	go test -count=1 -v -timeout 0 ./cmd/kept -run 'TestKills|TestDiskFull|TestPowerCuts|TestVerbFaults|TestDamage|TestFileSizeLimit|TestReadOnlyStore'
	go test -count=1 -v -timeout 0 ./cas -run TestFaultedTransfers
	go test -count=1 -v -timeout 0 ./cmd/kept -run TestPushKilled
	go test -count=1 -v -timeout 0 ./cmd/kept -run TestSoak

bench: build ## micro-benchmarks, then kept against git on the clock; DVC=1 against DVC as well
	go test -run '^$$' -bench . -benchmem ./...
	hack/bench.sh

bench-store: build ## the store beside git-lfs, git-annex, restic, borg and DVC; most of an hour on a quiet machine
	hack/bench-store.sh

bench-remote: build ## push and pull beside DVC and rclone on one S3 server, and git-lfs in a folder; half an hour on a quiet machine
	hack/bench-remote.sh

wheel: ## the Python wheel of this platform, or of all of WHEELS, with the binary inside, into dist/
	@for target in $(WHEELS); do \
		os=$${target%/*} arch=$${target#*/}; \
		export CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch; \
		go build -trimpath -ldflags '$(LDFLAGS)' -o dist/kept-$$os-$$arch ./cmd/kept && \
		python/build_wheel.sh $$os $$arch '$(VERSION)' dist/kept-$$os-$$arch dist || exit 1; \
	done

check-wheel: ## build the wheel, install it into an empty environment and use it
	rm -rf dist
	$(MAKE) wheel
	hack/check_wheel.sh dist/kept-*.whl

cross: ## compile for every platform that a release has, tests included
	@for target in $(TARGETS); do \
		echo "$$target"; \
		export CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/}; \
		go build -trimpath -o /dev/null ./cmd/kept && go vet ./... || exit 1; \
	done

clean:
	rm -rf bin dist
