# scriptfleet: every target does its own set-up from a fresh clone with Go and
# Python. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.tools/bin:$(PATH)

# Timeout of one package's tests, for a busy machine; go test then prints where
# they hang. All tests together should take ten minutes on two cores.
TEST_TIMEOUT ?= 600s
FUZZ_TIME ?= 20s
SEEDS ?= 10000
ROUNDS ?= 3
MINUTES ?= 30
TIMES ?= 1
CELLS ?= 1
LINT := go tool -modfile=.ci/tools/go.mod golangci-lint
# Folders that begin with a dot are not part of ./...
PACKAGES := ./... ./.ci/report ./.ci/bench
BENCHED = $$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')

# git refuses a clone that another user owns, and go build then fails to stamp the
# version, which only a release needs. With -trimpath, what was compiled in one
# clone need not be compiled again in the next.
demo test chaos observe simulate vet lint bench bench-update bench-packages fuzz: export GOFLAGS := -buildvcs=false -trimpath $(GOFLAGS)

# VERSION=v1.2.3 names a release; else the binaries name their commit.
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
RELEASE := github.com/scriptfleet/scriptfleet/pkg/version.release

.PHONY: help setup build sbom demo test chaos observe simulate vet lint bench bench-update bench-packages bench-peers bench-fairness bench-tenants bench-costs scale fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | \
	  while IFS=$$'\t' read -r target text; do printf '  make %-15s %s\n' "$$target" "$$text"; done

setup: ## install what the tests need, and print what is missing
	@.ci/setup

build: ## static binaries in bin/: dispatcher, worker, scriptfleet
	CGO_ENABLED=0 go build -trimpath -ldflags "-X $(RELEASE)=$(VERSION)" -o bin/ ./cmd/dispatcher ./cmd/worker ./cmd/scriptfleet

sbom: build ## bin/<binary>.cdx.json: the modules in each binary, as CycloneDX
	@for name in dispatcher worker scriptfleet; do \
	  go run $(CYCLONEDX) bin -json -version "$$(bin/$$name --version)" -output bin/$$name.cdx.json bin/$$name && echo bin/$$name.cdx.json; \
	done

demo: ## the whole fleet on this machine, with scripts of several tenants
	@.ci/setup demo
	go run ./cmd/scriptfleet demo

# The tests and, once each, the benchmarks behind them: with the race detector;
# in CI a skipped test is a failure.
test: setup vet ## all tests, with the race detector
	@# Linked first, where pkg/fleettest/program looks for them, so that it does not
	@# count towards a package's timeout.
	CGO_ENABLED=0 go build -o bin/tests/plain/ ./cmd/...
	CGO_ENABLED=1 go build -race -o bin/tests/race/ ./cmd/scriptfleet
	@# With benchmarks go test runs one package at a time: so they run separately.
	@# Many tests mostly wait: with four packages at a time, and four tests of each,
	@# two cores are busy. vet has run; a process that ends need not wait a second
	@# for more races.
	{ export GORACE=atexit_sleep_ms=10; \
	  go test -race -vet=off -p 4 -parallel 4 -timeout $(TEST_TIMEOUT) -json $(PACKAGES); \
	  go test -race -vet=off -run '^$$' -bench . -benchtime 1x -json $(BENCHED); } | go run ./.ci/report

chaos: setup ## every fault of pkg/fleettest/chaos/README.md, including those that take minutes
	go test -race -timeout 30m -run TestPromisesHold ./pkg/fleettest/chaos -chaos.long -v

observe: setup ## prove each panel against real processes; prints its value, and renders pages and pictures into observe/
	@.ci/setup draw
	@# In the package's folder go test prints what the test prints.
	@cd dashboards && go test -run TestDashboardsAndAlerts -count=1 -timeout 15m -observe $(CURDIR)/observe $(if $(JSON),-observe-json)

simulate: ## the whole fleet in memory, under faults of 10,000 seeds (SEEDS)
	go test ./pkg/fleettest/simulation -run '^TestSimulation$$' -seeds $(SEEDS) -timeout 20m

# With -race, because the tests compile everything with it anyway.
vet:
	go vet -race $(PACKAGES)
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs ls 2>/dev/null | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" $$unformatted; exit 1; fi

lint: ## golangci-lint, as .golangci.yml has it (its first run compiles it)
	$(LINT) run $(PACKAGES)

bench: ## every goal beside its figure: about 15 minutes (BENCH=burst,delay for some)
	@go run ./.ci/bench $(if $(BENCH),-only $(BENCH))

bench-update: ## the same, and write the figures to BENCHMARKS.md and README.md
	@go run ./.ci/bench -update $(if $(BENCH),-only $(BENCH))

bench-peers: ## other queues beside this fleet, the same script, in turn (ROUNDS)
	@cd .ci/peers && go run . -rounds $(ROUNDS)

bench-packages: ## the benchmarks of all packages
	go test -run '^$$' -bench . -benchmem ./...

bench-fairness: ## effect of a flooding tenant on twenty quiet ones, by mechanism
	@go test ./pkg/fleettest/fairness -run 'TestFairness$$' -fairness -v -timeout 20m | grep --line-buffered -v -e '^===' -e '^---' -e '^PASS'

bench-tenants: ## CPU a run and memory at 10, 1,000 and 100,000 tenants
	@go test ./pkg/fleettest/fairness -run 'TestTenants$$' -tenants -v -timeout 20m | grep --line-buffered -v -e '^===' -e '^---' -e '^PASS'

bench-costs: ## requests to SQS, round trips to Redis and deliveries a run, beside their goals
	@go test ./pkg/fleettest/fairness -run 'TestCosts$$' -costs -v -timeout 20m | grep --line-buffered -v -e '^===' -e '^---' -e '^PASS'

scale: ## a billion runs a week in virtual time: tables, and a page in bin/ (MINUTES, TIMES, CELLS, COLD)
	@mkdir -p bin
	@go test ./pkg/fleettest/scale -run '^TestScale$$' -scale -minutes $(MINUTES) -times $(TIMES) -cells $(CELLS) $(if $(COLD),-cold) -page $(CURDIR)/bin/scale.html \
	  -v -timeout 60m | grep --line-buffered -v -e '^===' -e '^---' -e '^PASS'

fuzz: ## each fuzz target for FUZZ_TIME (20s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r dir; do \
	  grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/^func //' | sort | while read -r target; do \
	    echo "+ $$dir $$target for $(FUZZ_TIME)"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) "$$dir" </dev/null; \
	  done; \
	done

clean: ## remove what the other targets made
	rm -rf bin .tools
	go clean -testcache
