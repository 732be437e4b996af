# Each of these works as the first command in a fresh clone, on Debian 12 with git and rustup: what
# else is needed is installed first, or the command to install it is printed. One profile, release,
# so that nothing large is built twice; plugins have their own, for WebAssembly.

# Where rustup, installed a moment ago, is not found yet, and where mosquitto is not for users.
export PATH := $(CURDIR)/target/tools/bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/sbin

WASM     := --profile plugin --target wasm32-unknown-unknown
members   = $(notdir $(patsubst %/Cargo.toml,%,$(wildcard $(1)/*/Cargo.toml)))
EXAMPLES := $(call members,plugins)
GUESTS   := $(call members,tests/guests)

# apt-get and cargo wait for themselves badly.
.NOTPARALLEL:

# Whose plugins `make test` builds and calls, besides Rust: any of c, go, javascript and python. Debian
# 12 has no Go and no Node that is new enough; installing them takes 450 MB.
LANGUAGES ?= c python

.PHONY: help demo test test-languages bench bench-languages chaos fuzz memcheck lint plugins deps test-deps

help:
	@echo "make demo      see it work: brokers, devices and plugins included (ARGS='--seconds 30')"
	@echo "make test      check everything, with a real mosquitto and a real Apache Kafka"
	@echo "make test-languages  plugins in other languages alone (LANGUAGES='c go javascript python')"
	@echo "make bench     CPU time per message, latency and messages per second, side by side (ARGS=--help)"
	@echo "make chaos     disturb servers, networks and host under load, and check every message"
	@echo "               (FAULT='kafka-kill mqtt-net' ROUNDS=4 SEED=1; ARGS=--list says which there are)"
	@echo "make fuzz      attack what reads plugins and MQTT, with a nightly compiler (FUZZ_SECONDS=600 for each of four)"
	@echo "make memcheck  watch memory on both sides of librdkafka's C interface, with valgrind"
	@echo "make lint      format, clippy, documentation; licences where cargo-deny is installed"
	@echo "make plugins   build the example plugins into target/wasm32-unknown-unknown/plugin/"
	@echo "make deps      install what building needs, and nothing else"

demo: plugins
	cargo run --release --package host -- demo $(ARGS)

# Tests wait for servers more than they work.
test: export RUST_TEST_THREADS ?= $(shell expr $$(nproc) + 2)
test: test-deps lint
	cargo build $(WASM) $(addprefix --package ,$(EXAMPLES) $(GUESTS))
	cargo test --release --workspace
	cargo test --release --workspace --test languages -- rust:: $(LANGUAGES:%=%::)

test-languages: test-deps
	cargo test --release --workspace --test languages -- rust:: $(LANGUAGES:%=%::)

bench: test-deps
	cargo run --release --package tests --bin bench -- $(ARGS)

# One plugin in each language, side by side.
bench-languages: test-languages
	cargo build $(WASM) --package json-key
	cargo run --release --package tests --bin languages -- \
		target/wasm32-unknown-unknown/plugin/json_key.wasm \
		$(foreach language,$(LANGUAGES),target/languages/json-key-$(language)/json_key_$(language).wasm)

chaos: test-deps
	cargo run --release --package tests --bin chaos -- \
		$(FAULT:%=--fault %) $(ROUNDS:%=--rounds %) $(SEED:%=--seed %) $(ARGS)

# What is found to be interesting is collected beside the corpus, which is kept small by hand
# (cargo fuzz cmin); inputs that do harm are put into host/fuzz/artifacts.
fuzz: FUZZ_SECONDS ?= 600
fuzz: deps
	@cargo +nightly fuzz --version || { echo 'first: rustup toolchain install nightly && cargo install cargo-fuzz'; exit 1; }
	cd host/fuzz && for target in packed draft load session; do \
	    mkdir -p target/found/$$target && \
	    cargo +nightly fuzz run --fuzz-dir . --sanitizer none $$target target/found/$$target corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=60 -max_len=4096 || exit 1; \
	done

memcheck: deps
	@valgrind --version || { echo 'first: apt-get install valgrind'; exit 1; }
	cargo test --config 'target."cfg(all())".runner = ["valgrind", "--error-exitcode=1"]' \
		--release --package host --lib -- sink::tests

lint: deps
	cargo metadata --locked --format-version 1 --quiet >/dev/null
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release --workspace --test languages -- -D warnings
	cargo clippy $(WASM) $(addprefix --package ,$(EXAMPLES)) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --document-private-items
	if command -v cargo-deny >/dev/null; then cargo deny check; fi

plugins: deps
	cargo build $(WASM) $(addprefix --package ,$(EXAMPLES))

deps:
	@.ci/deps build

test-deps:
	@LANGUAGES='$(LANGUAGES)' .ci/deps test
