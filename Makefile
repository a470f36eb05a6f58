# `make help` lists what there is.

SWIFT ?= swift
CONFIGURATION ?= release
# One suite or more of Benchmarks/, and options for them: make bench SUITES=convolution OPTIONS=--quick
SUITES ?= convolution memory normalization whitening
# Of peers/compare.py: convolution, norms, whitening, inference.
PEER_SUITES ?= convolution norms
OPTIONS ?=
# Seconds for each reader: make fuzz SECONDS=600 OPTIONS='--reader onnx --seed 7'
SECONDS ?= 60
# Which tests: make test FILTER=KeelTensorTests
FILTER ?=

FORMATTED = $(wildcard Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources \
	Benchmarks/Tests Examples/*/Package.swift Examples/*/Sources)

.PHONY: help demo test test-matrix conformance sanitize fuzz regions bench bench-peers parity lint format documentation doctor dependencies

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: dependencies ## Trains, folds, verifies and times a small network.
	$(SWIFT) run -c $(CONFIGURATION) keel demo

test: dependencies ## Runs the tests.
	$(SWIFT) test -c $(CONFIGURATION) $(if $(FILTER),--filter '$(FILTER)')

test-matrix: dependencies ## Runs the tests at every vector level this machine has.
	Scripts/test-matrix.sh

CONFORMANCE = .build-conformance
ONNX_DATA = $(CURDIR)/$(CONFORMANCE)/onnx/backend/test/data

conformance: dependencies $(CONFORMANCE)/installed ## Runs ONNX's own cases.
	KEEL_ONNX_DATA='$(ONNX_DATA)' $(SWIFT) test -c $(CONFIGURATION) --filter ConformanceTests

$(CONFORMANCE)/installed:
	Scripts/install-dependencies.sh conformance
	mkdir -p $(CONFORMANCE)
	python3 -m pip download --quiet --no-deps --dest $(CONFORMANCE) onnx==1.22.0
	cd $(CONFORMANCE) && python3 -m zipfile -e onnx-1.22.0-*.whl .
	touch $@

# Seconds for each test of the soak: make sanitize SOAK=600
SOAK ?= 60

sanitize: dependencies ## Runs plans on many threads under the thread sanitizer.
	KEEL_SOAK_SECONDS=$(SOAK) $(SWIFT) test -c release --sanitize=thread --scratch-path .build-sanitize \
	  --filter ConcurrencyTests

fuzz: dependencies ## Feeds damaged files to the readers.
	$(SWIFT) run -c release KeelFuzz --seconds $(SECONDS) $(OPTIONS)

regions: dependencies ## Times parallel regions by Keel's pool and by Dispatch.
	$(SWIFT) run -c release KeelRegions $(OPTIONS)

bench: dependencies ## Runs the benchmarks.
	@set -e; for suite in $(SUITES); do \
	  $(SWIFT) run -c release --package-path Benchmarks $$suite $(OPTIONS); \
	done

PEERS = Benchmarks/.venv-peers

bench-peers: dependencies $(PEERS)/installed ## Compares with PyTorch and other runtimes.
	$(SWIFT) build -c release --package-path Benchmarks --product peer
	@set -e; for suite in $(PEER_SUITES); do \
	  $(PEERS)/bin/python Benchmarks/peers/compare.py --suite $$suite $(OPTIONS); \
	done

parity: dependencies $(PEERS)/installed ## Holds models exported from PyTorch to it.
	$(SWIFT) build -c release
	$(PEERS)/bin/python Benchmarks/peers/parity.py $(OPTIONS)

$(PEERS)/installed: Benchmarks/peers/requirements.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet -r $<
	touch $@

lint: ## Checks format, layering and lengths.
	$(SWIFT) format lint --strict --parallel -r $(FORMATTED)
	Scripts/lint.sh

format: ## Formats the sources.
	$(SWIFT) format --in-place --parallel -r $(FORMATTED)

documentation: dependencies ## Makes the documentation's tables of methods.
	KEEL_UPDATE_DOCUMENTATION=1 $(SWIFT) test -c $(CONFIGURATION) --filter KeelDocumentationTests

doctor: dependencies ## Shows what Keel sees of this machine.
	$(SWIFT) run -c $(CONFIGURATION) keel doctor

dependencies:
	@Scripts/install-dependencies.sh
