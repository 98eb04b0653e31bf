# Everything a person does with this checkout. `make` alone lists it; nothing but Python 3.11+ and make is needed.

VENV  := .venv
BIN   := $(VENV)/bin
# Tests run in this many processes: much of their time they wait, for other processes, browsers and disks.
JOBS  ?= 3
# Their databases need not outlive them: they lie in memory where the system has 4 GB for files there (Linux), since
# thousands of small databases made and dropped on a disk take longer than what is tried on them.
ROOMY := $(shell [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 4000000 ] 2>/dev/null && echo /dev/shm)

REQUIREMENTS := requirements.txt requirements-dev.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
COMPILE := CUSTOM_COMPILE_COMMAND="make regen-requirements" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check bench bench-console bench-figures soak verify docs format regen-requirements clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make .venv with the `hub` command; later runs start at once
	@echo "Ready: $(BIN)/hub --help"

demo: $(VENV)/.installed ## watch five simulated systems sync, settle conflicts and send a reward
	@$(BIN)/hub demo $(ARGS)

run: $(VENV)/.installed ## scheduler and webhook receiver, as hub.yaml says
	@$(BIN)/hub run $(ARGS)

test: $(VENV)/.installed ## all tests, on SQLite and PostgreSQL
	@$(if $(ROOMY),TMPDIR=$(ROOMY) )$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.installed ## lint, format, types, import rules, sizes and purity
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest tests/house

bench: $(VENV)/.installed ## speed, as ratios to a floor measured in the same run
	@$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.installed ## half an hour of random edits with failing vendors; ARGS='--minutes 2' for a short one
	@$(BIN)/python -m bench.soak $(ARGS)

bench-console: $(VENV)/.installed ## server time of every page and listing with 350,000 contacts; fails above 200 ms
	@$(BIN)/python -m bench.console $(ARGS)

bench-figures: $(VENV)/.installed ## what dashboards take with 350,000 contacts and 1,000,000 events, and one event more
	@$(BIN)/python -m bench.figures $(ARGS)

verify: $(VENV)/.installed ## every proof, with faults planted; writes docs/trust.md (half an hour)
	@$(BIN)/python -m hub.verify $(ARGS)

docs: $(VENV)/.installed ## write the pages that are made of the code: connectors, errors, tables of the mapping reference
	@$(BIN)/python -m hub.app.reference

format: $(VENV)/.installed ## let ruff mend and format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

regen-requirements: $(VENV)/.requirements ## pin the newest allowed versions, with the hashes of all published files
	$(COMPILE) --upgrade --output-file requirements.txt requirements.in
	$(COMPILE) --upgrade --output-file requirements-build.txt requirements-build.in
	$(COMPILE) --upgrade --output-file requirements-dev.txt requirements-dev.in

clean: ## remove what building and testing leave behind
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path './$(VENV)' -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf

distclean: clean ## clean, and remove .venv too
	rm -rf $(VENV)

# --- the virtual environment, in three steps, each done once -----------------------------------------------------

# Several installed Pythons may share the machine, and a version manager's shim may exist without a version behind it:
# so each candidate is asked, and the first that is new enough and can make environments wins. PYTHON=... overrides.
$(VENV)/.made:
	@for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv $(VENV) && touch $@ && exit 0; \
			exit 1; \
		fi; \
	done; \
	echo "The hub needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: python3-venv)." >&2; \
	echo "None was found. If it is installed elsewhere, say where: make PYTHON=/path/to/python3 setup" >&2; \
	exit 1

$(VENV)/.requirements: $(VENV)/.made $(REQUIREMENTS)
	@echo "Installing the pinned requirements (a minute or two, once)"
	@$(PIP) install --quiet --no-compile --require-hashes $(addprefix --requirement ,$(REQUIREMENTS))
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true  # on all cores, without the packages' own tests
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
