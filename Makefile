# Every developer action is a target here, and CI uses only these targets. `make help` lists them.
# Variables: PYTHON (the Python that creates the environment), VENV (where the environment is).

PYTHON ?= python3
VENV ?= .venv
GRPCURL_VERSION := v1.9.3
GCS_SERVER_VERSION := v1.56.1
KUSTOMIZE_VERSION := v5.7.1
WEAVIATE_VERSION := v1.35.2
PROMETHEUS_VERSION := v0.316.0
CONFORMANCE_VERSION := v1.0.7
UV_VERSION := 0.13.9

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := $(VENV)/bin
PROTOS := $(shell find protos -name '*.proto')
# Stamp files: a step is repeated only if its inputs have changed, so that a second run needs no network.
DEPENDENCIES := $(VENV)/.dependencies-installed
INSTALLED := $(VENV)/.semsearch-installed
STUBS := client/protos.binpb
EXPORTED := dist/protos/LICENSE
GO_EXAMPLES := examples/go/bin/grpc
TYPESCRIPT_EXAMPLES := examples/typescript/build/main.js
WEAVIATE_CLIENT := $(VENV)/.weaviate-client-installed
STARTER_DEPENDENCIES := $(VENV)/.starter-dependencies-installed
BENCH_DEPENDENCIES := $(VENV)/.bench-dependencies-installed
RAY := $(VENV)/.ray-installed
PAGE_DEPENDENCIES := page/node_modules/.installed
PAGE_STUBS := page/src/gen/.generated
PAGE := gateway/web/static/index.html
PAGE_SOURCES := page/build.mjs $(shell find page/src -name gen -prune -o -type f -print)
# Node is looked for, and installed if need be, only where a recipe needs it.
WITH_NODE = PATH="$$(sh scripts/find_node.sh '$(abspath $(BIN))/python' '$(CURDIR)/.tools/node'):$$PATH"

# The targets that people call; none is a file. `help` lists the same.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.* \#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(PAGE) ## Create the environment: .venv, the locked dependencies, the generated code, the semsearch command, the page

$(DEPENDENCIES): requirements.lock
	@sh scripts/check_machine.sh '$(PYTHON)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing the dependencies into $(VENV); this takes some minutes the first time ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(STUBS): $(PROTOS) protos/generate.py $(DEPENDENCIES)
	@find client/semsearch -name '*_pb2*.py*' -delete
	@$(BIN)/python protos/generate.py client
	@touch $@

$(INSTALLED): pyproject.toml client/pyproject.toml $(STUBS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e client -e .
	@touch $@

$(PAGE_DEPENDENCIES): page/package-lock.json page/.npmrc page/requirements.lock $(DEPENDENCIES)
	@echo 'Installing what builds the page into page/node_modules ...'
	@$(WITH_NODE) && cd page && npm ci --silent
	@touch $@

$(PAGE_STUBS): $(PROTOS) page/generate.py $(PAGE_DEPENDENCIES)
	@$(WITH_NODE) $(BIN)/python page/generate.py
	@touch $@

$(PAGE): $(PAGE_SOURCES) $(PAGE_STUBS)
	@$(WITH_NODE) && cd page && npm run --silent build

page: $(PAGE) ## Build the web page into gateway/web/static

# What is left has the versions that the lock gave it; nothing is installed that it lacks.
runtime: setup ## Remove from .venv what only developers need, for container images, but keep EXTRAS=gcs; `make setup` brings it back
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --exact --no-build-isolation --python $(BIN)/python -r pyproject.toml \
		$(foreach extra,$(EXTRAS),--extra '$(extra)') -c requirements.lock
	@rm -f $(DEPENDENCIES) $(INSTALLED)

run-all: setup ## Start the three services, fill the gallery on the first run (unless NO_GALLERY=1), print first queries; Ctrl-C stops all
	@$(BIN)/python -m launcher $(if $(NO_GALLERY),--no-gallery)

bench: setup ## Compare searches and tags in the suite that `make run-all` started with bare gRPC
	@$(BIN)/python -m benchmarks

bench-processes: setup ## Compare one gateway process with several: PROCESSES=2
	@$(BIN)/python -m benchmarks.gateway_processes $(if $(PROCESSES),--processes '$(PROCESSES)')

bench-replicas: setup ## Measure read replicas of the index beside their writer: VECTORS=200000
	@$(BIN)/python -m benchmarks.replicas $(if $(VECTORS),--vectors '$(VECTORS)')

bench-overload: setup ## Offer a service four times the load that it can answer: SUITE=1 MODEL=photos
	@$(BIN)/python -m benchmarks.overload $(if $(SUITE),--suite) $(if $(MODEL),--model '$(MODEL)')

bench-scale-out: setup ## Compare one to three embedders and one or two gateways: BUNDLE=folder
	@$(BIN)/python -m benchmarks.scale_out $(if $(BUNDLE),--bundle '$(BUNDLE)')

bench-setup: $(BENCH_DEPENDENCIES) ## Install the libraries that `make bench-index` compares with

# Without dependencies: the project already has them.
$(BENCH_DEPENDENCIES): benchmarks/index/requirements.lock $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

bench-index: bench-setup ## Compare this vector index with others: SIZES=20000,200000
	@$(BIN)/python -m benchmarks.index $(if $(SIZES),--sizes '$(SIZES)')

bench-recall: setup ## Measure whether searches reach their recall target, on four kinds of vectors: SIZES=20000
	@$(BIN)/python -m benchmarks.index.recall $(if $(SIZES),--sizes '$(SIZES)')

bench-train: setup ## Compare training, from pictures to bundle, with computing features in every epoch: PHOTOS=folder
	@$(BIN)/python -m benchmarks.training $(if $(PHOTOS),--photos '$(PHOTOS)')

bench-duplicates: setup ## Measure how reliably copies of a picture are found: PHOTOS=folder BUNDLE=folder
	@$(BIN)/python -m benchmarks.duplicates --photos '$(PHOTOS)' $(if $(BUNDLE),--bundle '$(BUNDLE)')
	@$(BIN)/python -m benchmarks.duplicates.large

bench-activation: setup ## Measure a switch to a model with many words, while searches run: WORDS=400000
	@$(BIN)/python -m benchmarks.activation $(if $(WORDS),--words '$(WORDS)')

weaviate-setup: $(WEAVIATE_CLIENT) ## Install the client of Weaviate, for indexes on a cluster

# Without dependencies: the lock is complete, except for what overrides.txt excludes.
$(WEAVIATE_CLIENT): index_service/weaviate/requirements.lock $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

ray-setup: $(RAY) ## Install Ray, for `trainer features --ray` and `semsearch ingest` (440 MB)

# Without dependencies: the lock is complete.
$(RAY): client/ray-requirements.lock $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

bench-scale: setup ## Simulate up to 1,000 embedders from measured service times: RECORD=1 COMPARE=1 MODEL=photos
	@$(BIN)/python -m benchmarks.scale $(if $(RECORD),--record) $(if $(COMPARE),--compare) $(if $(MODEL),--model '$(MODEL)')

starter-setup: $(STARTER_DEPENDENCIES) ## Install the additional dependencies of `make starter`

# Without dependencies: the lock is complete, except for what overrides.txt excludes.
$(STARTER_DEPENDENCIES): trainer/starter/requirements.lock $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

starter: starter-setup ## Rebuild the shipped model and gallery (takes hours): PHOTOS=folder TEACHER=file
	@$(BIN)/python -m trainer starter '$(PHOTOS)' --teacher '$(TEACHER)'

protos: $(STUBS) ## Generate Python code and type stubs from protos/ into client/semsearch/

protos-export: $(EXPORTED) ## Copy the protos for clients in other languages, with what they import, into dist/protos

$(EXPORTED): $(PROTOS) protos/export.py $(DEPENDENCIES)
	@rm -rf $(@D)
	@$(BIN)/python protos/export.py $(@D)
	@touch $@

protos-release: $(STUBS) ## Record the protos of a release, which `make lint` compares with from now on
	$(BIN)/buf build $(STUBS) --exclude-source-info -o protos/released.binpb

examples: $(GO_EXAMPLES) $(TYPESCRIPT_EXAMPLES) ## Build the programs in Go and TypeScript below examples/ (needs Go)

$(GO_EXAMPLES): $(EXPORTED) $(wildcard examples/go/*.yaml examples/go/go.* examples/go/*/*.go)
	@command -v go >/dev/null || { echo 'The examples in Go need it, but there is no `go` on the PATH: install Go (https://go.dev/dl).' >&2; exit 1; }
	@echo 'Building the examples in Go; this takes a minute the first time ...'
	@cd examples/go && '$(abspath $(BIN))/buf' generate && go build -ldflags='-s -w' -o bin/ ./grpc ./connect
	@touch $@

$(TYPESCRIPT_EXAMPLES): $(EXPORTED) $(wildcard examples/typescript/*.yaml examples/typescript/*.json examples/typescript/src/*.ts)
	@$(WITH_NODE) && cd examples/typescript && npm ci --silent && '$(abspath $(BIN))/buf' generate && npm run --silent build
	@touch $@

sbom: setup ## Write the bill of materials into dist/semsearch.cdx.json (CycloneDX)
	@$(BIN)/python -m supply sbom

licences: setup starter-setup bench-setup ray-setup weaviate-setup ## Check the licences of all dependencies
	@$(BIN)/python -m supply licences

release: setup ## Make what a release ships in dist/release, with signed checksums: KEY=OpenSSH private key
	@$(BIN)/python -m supply release --key '$(KEY)'

wheel: setup ## Build the client's wheel and sdist into client/dist
	@cd client && '$(abspath $(BIN))/hatchling' build --clean

test: setup ## Run all tests and list the slowest at the end
# Files run in the order of their folders: tests/end_to_end and tests/services take minutes, so they run first. Python
# bytecode is cached, whatever the machine's settings, because the tests start hundreds of processes.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

fuzz: setup ## Fuzz what reads bytes of others, with atheris: TARGETS="image exif" RUNS=500000 SECONDS=600
	@$(BIN)/python -m tests.fuzz $(TARGETS) $(if $(RUNS),--runs '$(RUNS)') $(if $(SECONDS),--seconds '$(SECONDS)')

lint: setup ## Check style, formatting, import contracts, and the protos, also against the last release
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/buf lint $(STUBS) --config protos/buf.yaml
	$(BIN)/buf breaking $(STUBS) --against protos/released.binpb --config protos/buf.yaml
	@$(WITH_NODE) && cd page && npm run --silent lint

docs: setup ## Build the documentation site into build/docs, from docs/ and the code; a broken link is an error
	@$(BIN)/python -m docs_site

types: setup ## Check all types except in the Python tests (mypy --strict, tsc)
	$(BIN)/mypy
	@$(WITH_NODE) && cd page && npm run --silent types

format: setup ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@$(WITH_NODE) && cd page && npm run --silent format

# The suite and its protos are those of one Go module. Its server is tests/conformance/server.py.
conformance: setup .tools/bin/connectconformance ## Run the Connect protocol's own test suite against the HTTP port (needs Go)
	@protos=$$(go mod download -json connectrpc.com/conformance@$(CONFORMANCE_VERSION) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/proto && \
	$(BIN)/python -m grpc_tools.protoc -I "$$protos" --include_imports --descriptor_set_out=.tools/conformance.binpb \
	    "$$protos"/connectrpc/conformance/v1/*.proto
	@PYTHONPATH='$(CURDIR)' .tools/bin/connectconformance --mode server --conf tests/conformance/config.yaml \
	    -- $(BIN)/python -m tests.conformance.server .tools/conformance.binpb

.tools/bin/connectconformance:
	@echo 'Building connectconformance $(CONFORMANCE_VERSION) ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install connectrpc.com/conformance/cmd/connectconformance@$(CONFORMANCE_VERSION)

grpcurl: .tools/bin/grpcurl ## Build grpcurl, the command-line gRPC client, into .tools/bin (needs Go)

.tools/bin/grpcurl:
	@command -v go >/dev/null || { echo 'Building grpcurl needs Go, but there is no `go` on the PATH: install Go (https://go.dev/dl) or grpcurl itself.' >&2; exit 1; }
	@echo 'Building grpcurl $(GRPCURL_VERSION) ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION)

gcs-server: .tools/bin/fake-gcs-server ## Build fake-gcs-server, a Google Cloud Storage for tests, into .tools/bin (needs Go)

.tools/bin/fake-gcs-server:
	@command -v go >/dev/null || { echo 'Building fake-gcs-server needs Go, but there is no `go` on the PATH: install Go (https://go.dev/dl) or fake-gcs-server itself.' >&2; exit 1; }
	@echo 'Building fake-gcs-server $(GCS_SERVER_VERSION); this takes a minute or two the first time ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install github.com/fsouza/fake-gcs-server@$(GCS_SERVER_VERSION)

kustomize: .tools/bin/kustomize ## Build kustomize, which renders deploy/kubernetes where there is no kubectl, into .tools/bin (needs Go)

.tools/bin/kustomize:
	@echo 'Building kustomize $(KUSTOMIZE_VERSION) ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install sigs.k8s.io/kustomize/kustomize/v5@$(KUSTOMIZE_VERSION)

weaviate: .tools/bin/weaviate-server ## Build the vector database Weaviate into .tools/bin (needs Go and some minutes)

.tools/bin/weaviate-server:
	@command -v go >/dev/null || { echo 'Building Weaviate needs Go, but there is no `go` on the PATH: install Go (https://go.dev/dl) or weaviate-server itself.' >&2; exit 1; }
	@echo 'Building weaviate-server $(WEAVIATE_VERSION); this takes some minutes the first time ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install github.com/weaviate/weaviate/cmd/weaviate-server@$(WEAVIATE_VERSION)

# The version 0.3xx of the module is that of Prometheus 3.xx. The tag leaves out the clients of a dozen clouds.
.tools/bin/promtool:
	@command -v go >/dev/null || { echo 'Building promtool needs Go, but there is no `go` on the PATH: install Go (https://go.dev/dl) or promtool itself.' >&2; exit 1; }
	@echo 'Building promtool $(PROMETHEUS_VERSION); this takes some minutes the first time ...'
	@GOBIN='$(CURDIR)/.tools/bin' go install -tags remove_all_sd github.com/prometheus/prometheus/cmd/promtool@$(PROMETHEUS_VERSION)

alerts: .tools/bin/promtool ## Check the alert rules and try them on recorded figures (needs Go and some minutes)
	@cd deploy/monitoring && '$(CURDIR)/.tools/bin/promtool' check config prometheus.yaml
	@cd deploy/monitoring && '$(CURDIR)/.tools/bin/promtool' test rules alerts_test.yaml

cluster-faults: setup weaviate-setup weaviate ## Kill, cut, slow and fill machines under load; writes build/cluster-faults.md (Linux and root): FAULTS="kill cut"
	@$(BIN)/python -m tests.cluster.fault_table $(FAULTS) $(if $(CONSISTENCY),--consistency '$(CONSISTENCY)')

tls-load: setup ## Replace certificates while every hop is in use, and count failed calls: RENEWALS=20
	@TLS_RENEWALS='$(or $(RENEWALS),20)' $(BIN)/python -m pytest -q tests/services/test_encrypted_suite.py

lock: ## Upgrade the dependencies and write requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-package semsearch --no-annotate --no-header -o requirements.lock
	@cd trainer/starter && '$(abspath $(BIN))/uv' pip compile requirements.in --override overrides.txt --quiet --upgrade \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	@cd benchmarks/index && '$(abspath $(BIN))/uv' pip compile requirements.in --constraint ../../requirements.lock --quiet \
		--upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		-o requirements.lock
	@cd index_service/weaviate && '$(abspath $(BIN))/uv' pip compile requirements.in --override overrides.txt \
		--constraint ../../requirements.lock --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -o requirements.lock
	@cd client && '$(abspath $(BIN))/uv' pip compile ray-requirements.in --constraint ../requirements.lock --quiet \
		--upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		-o ray-requirements.lock
	@cd page && '$(abspath $(BIN))/uv' pip compile requirements.in --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	@$(WITH_NODE) && cd page && npm update --package-lock-only --silent
	@$(WITH_NODE) && cd examples/typescript && npm update --package-lock-only --silent

clean: ## Remove everything built: environment, generated code, tools, caches; keep var/ and runs/
	rm -rf $(VENV) build dist client/dist $(STUBS) page/node_modules page/src/gen gateway/web/static .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf examples/go/bin examples/go/gen examples/typescript/build examples/typescript/node_modules examples/typescript/src/gen
	find client/semsearch -name '*_pb2*.py*' -delete
