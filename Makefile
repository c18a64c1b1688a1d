# Each target sets itself up: all it takes is Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
# What runs the tests; .ci/run measures the coverage on the way.
TEST_RUNNER ?= -m pytest -q -n auto --dist loadgroup
# The legs to run, by a part of their names, after --strict where each of them has to: "--strict py312 django60".
MATRIX ?=
# The folder in which the files of the release are left; without it they are only checked.
DIST ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where it is set, as images of containers do, every process would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
DEMO_STAMP := $(VENV)/.installed-demo
# Without compiling: Python compiles the few modules that are used, when they are.
INSTALL = @$(VENV)/bin/python -m pip install --quiet --no-compile --requirement

.PHONY: demo test lint docs matrix release-check screenshots messages

demo: $(DEMO_STAMP)
	@$(VENV)/bin/python manage.py demo --port $(PORT)

test: $(TEST_STAMP)
	$(VENV)/bin/python $(TEST_RUNNER)

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/codespell
	$(VENV)/bin/zizmor --offline --pedantic --quiet .
	$(VENV)/bin/mypy complycube_sessions project tests
	$(VENV)/bin/mypy --config-file tests/typing/mypy.ini
	$(VENV)/bin/python .ci/audit.py

# The pages of docs/ as HTML, in docs/_build/html, where a warning is an error; and whether what they say is true.
docs: $(STAMP)
	$(VENV)/bin/sphinx-build -W --keep-going -n -E -q docs docs/_build/html
	$(VENV)/bin/python -m pytest -q -n 2 -m repository

# Every Python, Django and database that this machine has: see tox.ini.
matrix: $(STAMP)
	$(VENV)/bin/python .ci/matrix.py $(MATRIX)

# Builds what a release would publish, looks into it and tries it in a bare environment.
release-check: $(STAMP)
	$(VENV)/bin/python .ci/check_release.py $(DIST)

$(DEMO_STAMP): requirements-demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one with make PYTHON=python3.12")'
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	$(INSTALL) requirements-demo.txt
	@touch $@

# Brings the texts of the code into the German catalogue and compiles it; needs gettext.
messages: $(STAMP)
	cd complycube_sessions && $(abspath $(VENV))/bin/python -m django makemessages --locale de --no-obsolete --no-location --no-wrap
	sed -i '/^"Report-Msgid-Bugs-To:/d; /^"POT-Creation-Date:/d' complycube_sessions/locale/de/LC_MESSAGES/django.po
	cd complycube_sessions && $(abspath $(VENV))/bin/python -m django compilemessages --locale de

# The pictures of the README; needs Debian's chromium.
screenshots: $(STAMP)
	$(VENV)/bin/python docs/make_screenshots.py

$(TEST_STAMP): requirements-test.txt $(DEMO_STAMP)
	@echo "Installing what the tests need …"
	$(INSTALL) requirements-test.txt
	@touch $@

$(STAMP): requirements.txt $(TEST_STAMP)
	@echo "Installing the tools for development …"
	$(INSTALL) requirements.txt
	@touch $@
