# The tasks of this project. `make` alone builds it.

CARGO ?= cargo
# Of each target of `fuzz`.
SECONDS ?= 60
# Where `make install` puts things.
PREFIX ?= /usr/local
DESTDIR ?=
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: build run install uninstall package test shippers torture torture-fleet reliability check deny deb bench bench-subscribers bench-peers \
	bench-scale bench-stalls load clean bench-overload bench-builds bench-ingest bench-search \
	bench-fleet fuzz

build:
	$(CARGO) build --release

# The server on port 8080, for this machine alone, its database in data/. It takes HOST, PORT and the other variables of
# `serve`.
run: build
	@printf '%s\n' '' 'The page is http://localhost:$(or $(PORT),8080)/. A first event, from a second terminal:' '' \
		"    $(TARGET)/release/logagg publish --server localhost:$(or $(PORT),8080) -t hello -s me -m '{\"n\":1}'" ''
	@$(TARGET)/release/logagg serve

# The program, its manual and the completions of shells, by default in /usr/local, or as in
# make install PREFIX=$$HOME/.local
# Without cargo on the PATH, as under sudo, it installs what has been built.
install: $(if $(shell command -v $(firstword $(CARGO))),build)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(TARGET)/release/logagg $(DESTDIR)$(PREFIX)/bin/
	$(TARGET)/release/logagg man --folder $(DESTDIR)$(PREFIX)/share/man/man1
	$(TARGET)/release/logagg completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/logagg
	$(TARGET)/release/logagg completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_logagg
	$(TARGET)/release/logagg completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/logagg.fish
	@case ":$$PATH:" in *:$(PREFIX)/bin:*) ;; \
		*) echo 'logagg is not found before $(PREFIX)/bin is on the PATH: export PATH="$(PREFIX)/bin:$$PATH"';; esac

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/logagg $(DESTDIR)$(PREFIX)/share/man/man1/logagg.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/logagg-*.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/logagg \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_logagg \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/logagg.fish

# Most tests wait, for disks, timers and programs that they start, more than they compute.
test: export RUST_TEST_THREADS ?= $(shell echo $$(($$(nproc) + 4)))
test:
	bash .ci/times $(CARGO) test --workspace --features logagg/fleet --no-fail-fast

# Installs the clients with which the tests talk to the server, into target/shippers.
shippers:
	.ci/shippers

# The long forms of the tests of kills, power cuts and failing disks; takes some ten minutes.
torture:
	TORTURE_ROUNDS=200 POWER_CUTS=1000 $(CARGO) test --test server -- \
		--include-ignored --nocapture durability power trouble

# The long form of the test in which everything of a fleet fails, as a seed says: FLEET_SEED repeats one.
torture-fleet:
	FLEET_ROUNDS=200 $(CARGO) test --features fleet --test fleet -- --nocapture torture

# All tests in their long forms; their figures go into docs/RELIABILITY.md. If a test fails the line that is added
# leaves the page as it is.
reliability:
	$(CARGO) build -p logagg-bench
	{ TORTURE_ROUNDS=200 POWER_CUTS=1000 RETENTION_MB=2000 FULL_SIZE=1 $(CARGO) test --workspace -- --include-ignored --nocapture \
		|| echo 'test result: FAILED'; } \
		| $(CARGO) run --quiet -p logagg-bench -- reliability

# Runs each fuzz target for a time, or those in TARGETS, as in make fuzz SECONDS=600 TARGETS="keys tokens".
fuzz:
	bash fuzz/run.sh $(SECONDS) $(TARGETS)

check:
	$(CARGO) fmt --all -- --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --features logagg/fleet -- -D warnings
	$(CARGO) test --test tidy

# What is installed beside the program.
package: build
	rm -rf target/package
	$(TARGET)/release/logagg man --folder target/package/man
	mkdir -p target/package/completions
	for shell in bash zsh fish; do \
		$(TARGET)/release/logagg completions $$shell > target/package/completions/$$shell || exit 1; \
	done

# A package for Debian in target/debian/: the program, its manual, completions and units. Needs cargo-deb, which strips
# nothing here: the program has no symbols.
deb: package
	$(CARGO) deb --no-build --no-strip
	@if command -v lintian >/dev/null; then lintian --fail-on error $(TARGET)/debian/logagg_*.deb; fi

# Licences, duplicate versions and sources of the dependencies by the rules of deny.toml, and their known
# vulnerabilities if that database can be fetched. Needs cargo-deny.
deny:
	$(CARGO) deny --workspace check licenses bans sources
	@if $(CARGO) deny fetch db; then \
		$(CARGO) deny --workspace check advisories; \
	else \
		echo 'SKIPPED deny advisories: the database of known vulnerabilities cannot be fetched'; \
	fi

# Measures the server beside nginx and SQLite alone, and with subscribers, in some eight minutes. Arguments for
# the first go in ARGS, as in make bench ARGS=--help; each of these writes its section of bench/RESULTS.md.
bench:
	$(CARGO) run --release -p logagg-bench -- $(ARGS)
	$(if $(ARGS),,$(CARGO) run --release -p logagg-bench -- subscribers)

# What shippers send, beside the same payloads sent to /publish.
bench-ingest:
	$(CARGO) run --release -p logagg-bench -- --only ingest --only allocations $(ARGS)

# What subscribers cost the publishers, and what they get.
bench-subscribers:
	$(CARGO) run --release -p logagg-bench -- subscribers $(ARGS)

# Searches beside going through the events, FTS5 and grep. More events in ARGS, as in make bench-search ARGS='--events 10M'.
bench-search:
	$(CARGO) run --release -p logagg-bench -- search $(ARGS)

# The same loads on Redis and PostgreSQL, where they are installed.
bench-peers:
	$(CARGO) run --release -p logagg-bench -- peers $(ARGS)

# Fills a database to 100 million events, which takes 45 GB in target/; resumes where it stopped.
bench-scale:
	$(CARGO) run --release -p logagg-bench -- scale $(ARGS)

# Looks for stalls in ten minutes of half load.
bench-stalls:
	$(CARGO) run --release -p logagg-bench -- stalls $(ARGS)

# Publishes while thousands of clients idle, trickle, do not read, or send bombs; takes some three minutes.
bench-overload:
	$(CARGO) run --release -p logagg-bench -- overload $(ARGS)

# A forwarder beside a plain loop of the same batches on the same PostgreSQL, what it costs its node, and how late events
# are in the store; takes some two minutes.
bench-fleet:
	$(CARGO) build --release --features fleet
	LOGAGG=$(TARGET)/release/logagg python3 bench/fleet.py

# The same loads on this build and on another binary, as in make bench-builds BEFORE=/usr/bin/logagg: has a change
# made the server slower?
bench-builds:
	$(CARGO) run --release -p logagg-bench -- builds --before $(BEFORE) $(ARGS)

# Drives a server on port 8080 with hey, ab and wrk; starts one if none answers.
load:
	CARGO="$(CARGO)" bash bench/load.sh

clean:
	$(CARGO) clean
