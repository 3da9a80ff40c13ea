# Every target does its own set-up. PYTHON chooses the interpreter of the virtual environment.
PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 900
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check format golden schemas proof fuzz bench screenshots applier system clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Show the main job: compile, apply to a cluster of namespaces, ask the outside who calls.
	@$(RUN)/python -m lab.demo

test: $(STAMP) ## Run all tests, those in the kernel too.
	@.ci/as-root $(RUN)/pytest $(PYTEST_ARGS)

check: $(STAMP) ## Check format, lint and types, then run the tests.
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	.ci/as-root $(RUN)/pytest $(PYTEST_ARGS)

format: $(STAMP) ## Format the code.
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

golden: $(STAMP) ## Write the golden files anew; read the diff and explain it in the commit.
	.ci/as-root $(RUN)/pytest tests/test_golden.py tests/test_golden_diagnostics.py tests/test_golden_outputs.py tests/test_golden_node.py --snapshot-update

schemas: $(STAMP) ## Write schemas/, docs/reference.md, docs/cli.md and the man page anew; read the diff.
	$(RUN)/python -c 'import pathlib, compiler.manual as m, compiler.schema as s; [pathlib.Path(n).write_text(t) for n, t in {**s.files(), **m.pages()}.items()]'

fuzz: $(STAMP) ## Fuzz what reads inputs and bundles, SECONDS=900 in all; see tests/fuzz/.
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@cd tests && $(abspath $(RUN))/python -m fuzz.run $(SECONDS)

proof: $(STAMP) ## Hold the compiler against its reference on 20,000 generated clusters, and verify against 5,000 harms.
	@$(RUN)/python tests/proof.py $(PROOF_ARGS)
	@EGRESSC_EVERY_MUTANT=1 $(RUN)/pytest -q tests/test_verify.py -k harm

bench: $(STAMP) ## Measure all beside peers and print tables, 20 minutes; BENCH_ARGS='compile --rounds 1' takes one of them.
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@$(RUN)/python -m bench $(BENCH_ARGS)

screenshots: $(STAMP) ## Make the pictures of docs/report.md anew, with Chromium and Graphviz; look at them.
	@$(RUN)/python -m bench.screenshots

applier: $(STAMP) ## Build dist/egressc-node.pyz, the one file that a node needs; PYTHON is the nodes' version.
	@$(RUN)/python -m deploy.pyz dist/egressc-node.pyz

system:
	@PYTHON=$(PYTHON) sh .ci/system

$(STAMP): pyproject.toml | system
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

clean: ## Remove what the targets made.
	rm -rf $(VENV) build dist
