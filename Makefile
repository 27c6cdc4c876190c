# make demo   a tour: questions answered, with proof
# make test   all tests, and every example of the documentation
# make check  format, lint, types, layers
# make fuzz   20,000 random formulas and 2,000 second derivatives, judged (about an hour)
# make bench  how long things take on this machine, beside JAX, PyTorch, SymPy, CasADi, UFL and
#             tensorgrad; writes docs/benchmarks.md (make bench-quick: small sizes, writes nothing;
#             make bench BENCH='--from docs/benchmarks.json': a run that broke off goes on)
#
# Wanted: make and a Python of 3.11 or later. Everything else goes into .venv.

PYTHON ?= python3
VENV ?= .venv
# The CPU build of PyTorch, fixed: with it installed, nothing else asks for a larger one.
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check fuzz bench bench-quick clean

demo: $(VENV)/.wrt
	@$(BIN)/python -m compileall -q src
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/thread.sh

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/.test
	$(BIN)/python tests/fuzzing.py 20000 --start 100000
	$(BIN)/python tests/fuzzing.py 2000 --start 500000 --second

bench: $(VENV)/.bench
	@$(BIN)/python -m compileall -q src
	@mkdir -p docs
	@$(BIN)/python -m benchmarks --docs docs/benchmarks.md --svg docs/benchmarks.svg --json docs/benchmarks.json $(BENCH)

bench-quick: $(VENV)/.bench
	@$(BIN)/python -m compileall -q src
	@$(BIN)/python -m benchmarks --quick

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist

# Stamps: what is installed already is installed again only when pyproject.toml has changed.

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit("wrt wants Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.wrt: $(VENV)/.venv pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.wrt
	$(PIP) install '$(TORCH)'
	$(PIP) install jax --group test
	@touch $@

# tensorgrad wants an old networkx, which the others do not: it comes without what it asks for.
$(VENV)/.bench: $(VENV)/.test
	$(PIP) install --group bench
	-$(PIP) install --no-deps 'tensorgrad==0.3.0'
	@touch $@

$(VENV)/.check: $(VENV)/.wrt
	$(PIP) install --group check --group test
	@touch $@
