# Everything a newcomer types. Needs git, make and Python 3.11; the rest is set up in .venv.
PYTHON ?= python3.11
BIN := .venv/bin
.PHONY: setup demo test lint bench soak lock schemas clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip sync -q --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -qq -j 2 -x 'googleads/v2[345]/|/tests?/' .venv/lib || true
	@touch .venv/.ready

demo: setup
	@$(BIN)/clvsync demo --out out/demo

test: setup lint
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m pytest -n 2

lint: setup
	@$(BIN)/ruff format --check . && $(BIN)/ruff check --output-format concise . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo

bench: setup
	@$(BIN)/python -m tests.benchmarks

soak: setup
	@SOAK_EXAMPLES=200 $(BIN)/python -m pytest tests/connectors/engine/test_stateful.py tests/connectors/engine/test_cut_short.py tests/faults -n 2 --timeout 3600

lock:
	@$(BIN)/uv pip compile -q pyproject.toml --extra test --extra warehouse --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --python-version 3.11 -o requirements.lock

schemas: setup
	@$(BIN)/python -c "from pathlib import Path; from connectors.schema import write_schemas; write_schemas(Path('docs/schema'))"

clean:
	@rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache .hypothesis
