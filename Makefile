# What one does with this project. `make` alone builds it.

CARGO ?= cargo

.PHONY: build run test torture check bench load clean

build:
	$(CARGO) build --release

# The server on port 8080, its database in data/. HOST, PORT and the other variables of `serve` hold.
run:
	$(CARGO) run --release -- serve

test:
	$(CARGO) test --workspace

# The tests of kills, power cuts and failing disks, made longer; takes some ten minutes.
torture:
	TORTURE_ROUNDS=200 POWER_CUTS=1000 $(CARGO) test --test server -- \
		--include-ignored --nocapture durability power trouble

check:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --test tidy

# Measures the server; arguments go in ARGS, as in make bench ARGS=--help.
bench:
	$(CARGO) run --release -p logagg-bench -- $(ARGS)

# Drives a server on port 8080 with hey, ab and wrk; starts one if none answers.
load:
	CARGO="$(CARGO)" bash bench/load.sh

clean:
	$(CARGO) clean
