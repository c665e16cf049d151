# Each target makes its own .venv on first use; nothing else of the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo providers test lint bench docs clean

demo: $(VENV)/.runtime
	$(BIN)/wattwarden demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 $(ARGS)

# What a station needs whose site file turns on WeChat Pay, Alipay, or SMS by Aliyun or Tencent.
providers: $(VENV)/.providers

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/wattwarden bench all --write docs/benchmarks.md $(ARGS)

docs: $(VENV)/.runtime
	$(BIN)/python -m app.docs_blocks

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.providers: $(VENV)/.runtime requirements-providers.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-providers.lock
	touch $@

$(VENV)/.dev: $(VENV)/.providers requirements-dev.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.lock
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis var
