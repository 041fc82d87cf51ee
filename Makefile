# The commands of the project. Each does its own set-up; `make help` lists them.
.DEFAULT_GOAL := help
PRESET ?= release
BUILD := build/$(PRESET)

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what building and testing needs (Debian 12/13, Ubuntu 24.04)
	@scripts/setup.sh

.PHONY: build
build: setup ## Build everything into build/$(PRESET)
	@scripts/build.sh $(PRESET)

.PHONY: quickstart
quickstart: setup ## A real 3+3 Redis Cluster from examples/rediscluster.yaml on this machine
	@scripts/quickstart.sh

.PHONY: test
test: setup ## All tests: unit, conformance, simulation, integration with real Redis processes
	@scripts/test.sh $(PRESET)

SEEDS ?= 10000
FIRST ?= 100000
.PHONY: campaign
campaign: build ## Many simulated lives: make campaign SEEDS=100000 FIRST=1
	@scripts/campaign.sh $(BUILD)/tests/simulation/simulate $(FIRST) $(SEEDS)

.PHONY: chart-test
chart-test: ## The Helm chart: rendered with every switch, and held to docs/security.md
	@scripts/setup.sh
	@tests/chart/run.sh

.PHONY: chart-server-test
chart-server-test: build ## The chart on a real API server, with nothing but its own rights
	@tests/chart/server.sh

.PHONY: lint
lint: ## clang-format, clang-tidy, shellcheck, and tests that the documentation names
	@scripts/setup.sh lint
	@scripts/lint.sh

.PHONY: bench
bench: build ## Creation and migration of slots, side by side with redis-cli; a hundred clusters
	@bench/run.sh $(BUILD)

.PHONY: setup-e2e
setup-e2e:
	@scripts/setup.sh e2e

# What the scenarios run on this machine.
e2e e2e-up e2e-run: export SLOTWRIGHT := $(CURDIR)/$(BUILD)/operator/slotwright-operator
e2e e2e-up e2e-run: export E2E_CONFORMANCE := $(CURDIR)/$(BUILD)/tests/conformance/conformance_test

.PHONY: e2e
e2e: setup-e2e ## The operator in its own pods on a real Kubernetes of this machine: up, image, scenarios, down
	@scripts/build.sh $(PRESET) slotwright-operator conformance_test
	@e2e/all.sh

.PHONY: e2e-run
e2e-run: ## The scenarios alone, on the cluster of KUBECONFIG or of make e2e-up
	@e2e/run.sh

.PHONY: e2e-up
e2e-up: setup-e2e ## A real Kubernetes (kind) on this machine, with the images; writes e2e/.state/kubeconfig
	@scripts/build.sh $(PRESET) slotwright-operator conformance_test
	@E2E_OPERATOR=yes e2e/up.sh

.PHONY: e2e-down
e2e-down: ## Remove it
	@e2e/down.sh

.PHONY: format
format: ## Format the sources
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

.PHONY: clean
clean: ## Remove what was built
	@rm -rf build
