# Everything that is done with this repository, by name. The environment is made where it is needed.

PYTHON ?= python3
CORES ?= all
WORKERS ?= auto

export PIP_DISABLE_PIP_VERSION_CHECK := 1

INSTALLED := .venv/.installed

.PHONY: install demo demo-vlm docs test test-slow bench lint lock clean help
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## make the environment in .venv

demo: $(INSTALLED) ## run the embedded demo end to end
	.venv/bin/snakemake --cores $(CORES)

demo-vlm: $(INSTALLED) ## run the demo with a vision-language model as its backbone
	.venv/bin/snakemake --cores $(CORES) --configfile config.yaml configs/demo-vlm.yaml

test: $(INSTALLED) ## run the tests, which take minutes in all
	.venv/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: $(INSTALLED) ## run the tests that take minutes each; run as root, they install SLURM
	MINE_INSTALL_SLURM=1 .venv/bin/python -m pytest -m slow

bench: $(INSTALLED) ## run the benchmarks and write the table of docs/performance.md
	for file in benchmarks/bench_*.py; do .venv/bin/python "$$file" || exit 1; done
	.venv/bin/python benchmarks/report.py

docs: .venv-docs/.installed ## write the documentation as a website, in site
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

lint: $(INSTALLED) ## check style, imports and the workflow
	.venv/bin/python -m pytest tests/unit/test_style.py

lock: $(INSTALLED) ## resolve the dependencies again and write requirements.lock
	.venv/bin/uv pip compile --quiet --no-config --universal --generate-hashes --upgrade \
		--python-version 3.11 --extra dev --no-emit-index-url --no-annotate --no-header \
		--output-file requirements.lock pyproject.toml
	.venv/bin/uv pip compile --quiet --no-config --universal --generate-hashes --upgrade \
		--python-version 3.11 --no-emit-index-url --no-annotate --no-header \
		--output-file docs/requirements.lock docs/requirements.in
	.venv/bin/python envs/generate.py

clean: ## remove the results and the environment
	rm -rf .venv .venv-docs .snakemake site
	find -H results -mindepth 1 ! -name .gitkeep -delete

# uv alone is installed by pip, checked against the lock's hashes like all that it then installs.
# The stamp is written last, so an installation that was cut off is done again.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "expected Python 3.11 or newer as PYTHON, found " + sys.version.split()[0])'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	.venv/bin/python -m pip install --quiet --no-deps --require-hashes -r .venv/uv.lock
	.venv/bin/uv pip install --compile-bytecode --python .venv/bin/python --require-hashes -r requirements.lock
	.venv/bin/uv pip install --python .venv/bin/python --no-deps --no-build-isolation --editable .
	touch $@

# Apart, since MINE itself needs none of it.
.venv-docs/.installed: docs/requirements.lock $(INSTALLED)
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv/bin/uv pip install --python .venv-docs/bin/python --require-hashes -r docs/requirements.lock
	touch $@
