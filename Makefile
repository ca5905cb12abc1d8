# Two commands for a newcomer: `make demo` and `make test`. Everything they need they install themselves.
SWIFT ?= swift
BIN := .build/release

.PHONY: help demo test lint format build release deps vectors ansible userlands bench bench-safety bench-drift bench-lockdown fuzz interleave clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 14

demo: release ## raise a lab of six hosts and walk through the whole loop
	@scripts/demo.sh $(BIN)/portcullis

test: deps vectors ansible userlands build ## every test; those that need root and namespaces run when they can
	$(SWIFT) build --build-tests
	@scripts/test.sh $(SWIFT)

lint: ## swift format, strict
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

format: ## rewrite the sources in the one style
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

build: deps ## debug build
	$(SWIFT) build

release: deps ## optimised build: .build/release/portcullis and portcullis-agent
	$(SWIFT) build -c release --product portcullis
	$(SWIFT) build -c release --product portcullis-agent
	$(SWIFT) build -c release --product portcullis-lab-host

deps: ## Debian packages that are missing
	@scripts/install-packages.sh

vectors: deps ## OpenSSH's own signature test vectors, from Debian's source package
	@Tests/Shared/ReleaseTests/fetch-openssh-vectors.sh .build/openssh-vectors

ansible: deps ## Ansible, into .build, whose reading of inventories ours is compared with
	@scripts/install-ansible.sh .build/ansible

userlands: deps ## iptables of Debian 11, 12 and 13, into .build, for the tests that upgrade a host
	@scripts/install-userlands.sh .build/userlands

bench: release ## the figures of docs/benchmarks.md, goal beside result
	@scripts/bench.sh $(BIN)

fuzz: deps ## damaged policies, rules and inventories, many times as many as the tests try, and how many that were
	@scripts/fuzz.sh $(SWIFT)

interleave: deps ## 10,000 runs of orders, applies and crashes in any order (RUNS=1000: fewer)
	@scripts/interleave.sh $(SWIFT)

bench-safety: deps ## the figures of docs/safety.md, goal beside result; hours (FACTOR=0.01: minutes)
	@scripts/bench-safety.sh $(SWIFT)

bench-drift: release ## the figures of docs/benchmarks.md about drift, goal beside result (FACTOR=0.1: fewer trials)
	@scripts/bench-drift.sh $(BIN) $(SWIFT)

bench-lockdown: release ## the figures of docs/benchmarks.md about lockdowns, goal beside result (HOSTS=20: a smaller lab)
	@scripts/bench-lockdown.sh $(BIN) $(SWIFT)

clean:
	rm -rf .build
