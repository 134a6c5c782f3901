# make demo [ARGS=--no-serve]   simulated prices, one run, its report, the dashboard
# make test                     all tests      make lint   ruff      make serve   the dashboard      make bench, bench-imports, bench-rolls   timings
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test serve lint bench bench-imports bench-rolls clean

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
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)
	$(BIN)/python -m bench.run $(ARGS)

bench-imports: $(STAMP)
	$(BIN)/python -m bench.imports $(ARGS)

bench-rolls: $(STAMP)
	$(BIN)/python -m bench.rolls $(ARGS)

clean:
	rm -rf .venv demo frontmonth-store
