# Millrace. `make demo` shows it, `make test` proves it; both do all their own set-up on a machine with Go.

MODULES   := . internal/integration examples
GO        ?= go
LINT      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VULN      := golang.org/x/vuln/cmd/govulncheck@v1.9.0
SERVICES  := cd internal/integration && $(GO) run ./cmd/services
# Every server test on two cores: packages one after the other, so that they do not starve each other.
TESTFLAGS ?= -race -count=1 -timeout=40m

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort | column -t -s "$$(printf '\t')"

.PHONY: demo
demo: ## the shop follows its database; SINK=elastic|mongodb KAFKA=real DB=mysql|mariadb CHECK=1 KILLS=n SEED=n
	@cd examples && $(GO) build -buildvcs=false -o ../bin/demo ./bmart/cmd/demo && exec ../bin/demo

.PHONY: test
test: setup services ## everything, on real servers, with the race detector; ends with the matrix of what ran
	@scripts/test.sh $(TESTFLAGS)

.PHONY: setup
setup: ## what the tests need of the machine: a C compiler, for the race detector
	@scripts/setup.sh

.PHONY: services
services: ## installs and starts MariaDB, MySQL, Kafka, Elasticsearch and MongoDB on loopback
	@$(SERVICES) start

.PHONY: services-stop
services-stop: ## stops what `make services` started, nothing else
	@$(SERVICES) stop

.PHONY: lint
lint: ## formatting, go vet, golangci-lint in every module
	@for m in $(MODULES); do (cd $$m && echo "lint $$m" && test -z "$$(gofmt -l . | tee /dev/stderr)" && $(GO) run $(LINT) run ./...) || exit 1; done

.PHONY: vuln
vuln: ## known vulnerabilities in what we import (needs the internet)
	@for m in $(MODULES); do (cd $$m && $(GO) run $(VULN) ./...) || exit 1; done

.PHONY: bench
bench: ## what relay, read models and sinks cost, beside go-mysql's decoding and plain bulk loaders; latency, rebuild, shops of three sizes; BENCH_PART=relay,documents,sinks,rebuild,latency,scale BENCH_ROWS=n DB=mysql|mariadb|both
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/bench ./cmd/bench && exec ../../bin/bench

.PHONY: verify-scale
verify-scale: ## one stock change in shops of 10,000 to 1,000,000 products: one card, one document, and at most three times the CPU; BENCH_ROWS=n
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/bench ./cmd/bench && exec ../../bin/bench -parts scale

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME (30s)
	@scripts/fuzz.sh

.PHONY: verify-types
verify-types: ## all types on both servers: the stream, our SELECT and the server's own, byte for byte; SEED=n VALUES=n
	@scripts/verify-types.sh

.PHONY: verify-transactions
verify-transactions: ## ordinary, XA and non-transactional work, savepoints and DDL, relay and servers killed: lost 0 duplicated 0 reordered 0 phantom 0; SEED=n KILLS=n RESTARTS=n TRANSACTIONS=n DB=mysql|mariadb|both
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/transactions ./cmd/transactions && exec ../../bin/transactions

.PHONY: verify-topology
verify-topology: ## failovers, switches, purges, cut networks under load on clusters of three servers; the log against the survivor's binlog; SEED=n DB=mariadb|mysql|both
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/topology ./cmd/topology && exec ../../bin/topology

.PHONY: verify-takeover
verify-takeover: ## three relays under load, the leader killed, stopped, cut off: how long nobody appends, at default settings, 5 s at most; KILLS=n STOPS=n CUTS=n STOP_FOR=seconds DB=mysql|mariadb|both
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/takeover ./cmd/takeover && exec ../../bin/takeover

.PHONY: verify-snapshot
verify-snapshot: ## tables of a million rows under load, the relay killed; a steady stream beside a snapshot; a table of 10M rows; a list of 50,000 tables: mismatched 0; SEED=n ROWS=n KILLS=n DB=mysql|mariadb|both
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/snapshot ./cmd/snapshot && exec ../../bin/snapshot

.PHONY: verify-snapshot-broken
verify-snapshot-broken: ## the same, small, without the wait (MySQL) and without the low mark (MariaDB): both must be caught
	@scripts/verify-snapshot-broken.sh

.PHONY: verify-documents
verify-documents: ## joins, a fold and a query over three schemas against SQL at cuts under load, in Elasticsearch and MongoDB; the projector killed, stopped, its state lost: documents N equal N torn 0 stale 0; SEED=n TRANSACTIONS=n SCALE=n KILLS=n LOSSES=n DB=mysql|mariadb|both BREAK=drop,stale,torn,extra
	@cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/documents ./cmd/documents && exec ../../bin/documents

.PHONY: verify-memory
verify-memory: ## the relay's peak memory: a transaction of 5M rows, rows of 64 MiB, a compressed transaction of 1 GB; takes 20 GB of disk
	cd internal/integration && $(GO) run ./cmd/memory

.PHONY: verify-model
verify-model: ## explores the relay protocol around the relay's own code: it holds, and breaks with each step taken out; with the counterexamples
	@scripts/verify-model.sh

EXACTLYONCE := cd internal/integration && $(GO) build -buildvcs=false -o ../../bin/exactlyonce ./cmd/exactlyonce && exec ../../bin/exactlyonce

.PHONY: verify-exactly-once
verify-exactly-once: ## relays, three brokers and databases killed, stopped, cut off, at each step of the protocol: lost 0 duplicated 0 reordered 0 torn 0; KILLS=50 SEED=n DB=mysql|mariadb|both
	@$(EXACTLYONCE)

.PHONY: verify-exactly-once-nightly
verify-exactly-once-nightly: ## the same with 1,000 faults, in some hours
	@KILLS=$${KILLS:-334} CHANGES=$${CHANGES:-400000} DEADLINE=600 && export KILLS CHANGES DEADLINE && $(EXACTLYONCE)

.PHONY: verify-exactly-once-unsafe
verify-exactly-once-unsafe: ## each of the protocol's five safeguards left out in turn: the check must fail, and this target shows that it does; DB=mysql|mariadb
	@GO="$(GO)" scripts/verify-unsafe.sh

.PHONY: verify-rules
verify-rules: services ## each rule of docs/projectors.md taken out in turn: its tests must fail, and this target shows that they do
	@$(GO) test -count=1 -v -tags millrace_unsafe -run '^TestRulesTakenOut$$' ./projector
	@cd internal/integration && $(GO) test -count=1 -v -tags millrace_unsafe -run '^TestRulesTakenOut$$' ./sinks

.PHONY: verify-outage
verify-outage: ## Kafka is down for a minute under load: memory stays under the bound, and everything arrives afterwards; OUTAGE=60 DB=mysql|mariadb|both
	@export OUTAGE=$${OUTAGE:-60} && $(EXACTLYONCE)

.PHONY: verify-fence
verify-fence: ## an old writer wakes up after the fence, 200 times, on the real broker: nothing of it may land
	cd internal/integration && $(GO) test -count=1 -v -run 'TestFence$$' ./kafkalog

.PHONY: verify-fence-broken
verify-fence-broken: ## the same with the second OK of the fence taken out: batches must land too late, and this target shows that they do
	@cd internal/integration && MILLRACE_UNSAFE=second-ok $(GO) test -count=1 -v -tags millrace_unsafe -run 'TestFence$$' ./kafkalog 2>&1 | tee /dev/stderr | grep -q 'batches landed after the fence' \
		|| { echo "without the second OK nothing landed too late, or the test did not run: it proves nothing"; exit 1; }
