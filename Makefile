# Each target makes .venv when it is missing or stale: nothing needs to be installed first but Python 3.11 or 3.12.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
# Name another with `make PYTHON=/path/to/python3.11 demo`. 3.11 first: the tests run on it.
PYTHON ?= python3.11 python3.12 python3

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help venv demo study cluster-demo serve test lint bench clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: venv ## run the main job on the embedded default; leaves runs/demo/report.html
	@$(PY) jobs/demo.py

study: venv ## both methods, their baselines and ablations over three seeds; leaves runs/study/report.html
	@$(PY) jobs/study.py

cluster-demo: venv ## a job brings up machines of cluster/xlnu.yaml, all on this one; leaves a picture of it
	@$(PY) jobs/cluster_demo.py

serve: venv ## host the demo's models, until Ctrl-C; prints the address and a curl line
	@$(PY) jobs/serve.py --config configs/serve.yaml

test: lint ## lint, types and all tests
	@$(PY) -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder

lint: venv ## lint, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo 'format: run .venv/bin/ruff format .'; exit 1; }
	@$(PY) -m mypy

bench: venv ## ours against named baselines; leaves runs/bench/bench.json and a plot
	@$(PY) jobs/bench.py

clean: ## remove .venv and caches; runs/ stays, for it may have cost money
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build xlnu.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: ## make or mend .venv (the others do so by themselves)
	@exec 9>.venv.lock && flock 9; \
	for python in $(PYTHON); do \
	  seen="$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"; \
	  case "$$seen" in 3.11|3.12) break;; esac; \
	  tried="$$tried $$python ($${seen:-not found})"; python=; \
	done; \
	[ -n "$$python" ] || { echo "xlnu needs Python 3.11 or 3.12; tried:$$tried. Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }; \
	want="$$seen $$(cat pyproject.toml constraints.txt | sha256sum) $(CURDIR)"; \
	have="$$($(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"; \
	[ "$$have" = "$$seen" ] || fresh=--clear; \
	[ -z "$$fresh" ] && [ "$$(cat .venv/installed 2>/dev/null)" = "$$want" ] && exit 0; \
	rm -f .venv/installed; \
	echo "installing into .venv with Python $$seen: some minutes the first time"; \
	begin=$$SECONDS; \
	$$python -m venv $$fresh .venv \
	  && $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' \
	  && echo "$$want" > .venv/installed \
	  && echo "installed in $$((SECONDS - begin)) s"
