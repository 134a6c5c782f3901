# make demo [ARGS=--no-serve]   simulated prices, one run, its report, the dashboard
# make test                     all tests      make lint   ruff      make serve   the dashboard
# make soak [ARGS="--only kill"]  the store's battery with its long numbers      make test-s3   the store's tests on S3
# make bench, bench-imports, bench-load, bench-rolls, bench-minutes, bench-sweep, bench-analysis, bench-ui, bench-report
#                               timings
# make bench-peers ARGS="--envs DIR"   other engines on the same portfolio
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test test-s3 soak serve lint bench bench-imports bench-load bench-rolls bench-minutes bench-sweep bench-analysis bench-ui bench-report \
	bench-peers clean

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)
	$(BIN)/frontmonth demo $(ARGS)

serve: $(STAMP)
	$(BIN)/frontmonth serve $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

test-s3: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --on-s3 tests/test_store_*.py $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)
	$(BIN)/python -m bench.run $(ARGS)

bench-imports: $(STAMP)
	$(BIN)/python -m bench.imports $(ARGS)

bench-load: $(STAMP)
	$(BIN)/python -m bench.load $(ARGS)

bench-rolls: $(STAMP)
	$(BIN)/python -m bench.rolls $(ARGS)

bench-minutes: $(STAMP)
	$(BIN)/python -m bench.minutes $(ARGS)

bench-sweep: $(STAMP)
	$(BIN)/python -m bench.sweep $(ARGS)

bench-analysis: $(STAMP)
	$(BIN)/python -m bench.analysis $(ARGS)

bench-ui: $(STAMP)
	$(BIN)/python -m bench.ui $(ARGS)

bench-report: $(STAMP)
	$(BIN)/python -m bench.report $(ARGS)

bench-peers: $(STAMP)
	$(BIN)/python -m bench.peers.run $(ARGS)

clean:
	rm -rf .venv demo frontmonth-store
