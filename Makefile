# Most targets are thin calls of `python -m competition`, which works without make as well.

PYTHON ?= python3
CONFIG = configs/default.yaml
JOBS = auto
# Empty unless the command line gives them: the environment has HOST or FORMAT for other programs.
OPTIONAL := CLUSTER SET ZIP FILE MESSAGE VARIANT TRIALS FORCE LONG VERBOSE ALL ROWS FORMAT SPARSITY \
	IMAGES MODEL OUT HOST PORT ACCELERATOR PUSH
$(foreach name,$(OPTIONAL),$(eval $(name) =))

# Quoted for the shell; `value` keeps a $ as it was given.
quoted = '$(subst ','\'',$(1))'

VENV ?= .venv
BIN := $(VENV)/bin
COMPETITION := $(BIN)/python -m competition
CHANGES = $(foreach change,$(value SET),--set $(call quoted,$(change)))
# The preset of a target that has one of its own, unless CONFIG is given.
preset = $(if $(filter file,$(origin CONFIG)),$(1),$(value CONFIG))
CONFIGURED = --config $(call quoted,$(value CONFIG)) $(CHANGES)
SEVERAL = $(foreach config,$(value CONFIG),--config $(call quoted,$(config))) $(CHANGES)
FORCED = $(if $(filter-out 0,$(value FORCE)),--force)
VERBOSED = $(if $(filter-out 0,$(value VERBOSE)),--verbose)
WORKERS = --jobs $(call quoted,$(value JOBS)) $(if $(value CLUSTER),--cluster $(call quoted,$(value CLUSTER)))

MODELLED = $(if $(value MODEL),--model $(call quoted,$(value MODEL)))

# Goals run in the order given, even with -j, and none after one that failed, even with -k: `make ensemble
# submit` sends what was just written or nothing.
MAKEFLAGS += --no-keep-going
.NOTPARALLEL:
.DEFAULT_GOAL := help
TARGETS := help setup demo download explore train-folds baselines tune ensemble compare gallery why report distil export predict draw serve latency submit scores kaggle-notebook doctor bench docs notebook test lint clean
.PHONY: $(TARGETS)

# A mistyped variable would be ignored without a word. $(1) is the given name, $(2) the known ones.
MEANT = $(shell $(PYTHON) -c 'import difflib, sys; given, *known = sys.argv[1:]; \
	by_case = {name.lower(): name for name in known}; \
	close = difflib.get_close_matches(given.lower(), by_case, 1); \
	meant = f"did you mean {by_case[close[0]]}?" if close else "there are: " + ", ".join(known); \
	print(f"{given} ({meant})")' $(1) $(2))
KNOWN := PYTHON VENV CONFIG JOBS $(OPTIONAL)
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(filter-out $(KNOWN) MAKEFLAGS SHELL,$(GIVEN))
ifdef UNKNOWN
$(error unknown variable $(call MEANT,$(firstword $(UNKNOWN)),$(KNOWN)))
endif

.DEFAULT:
	$(error $(if $(filter $@,$(MAKECMDGOALS)),unknown target $(call MEANT,$@,$(TARGETS)), \
		there is no $@ here: run make in the folder of the Makefile))

help: ## Explain the targets
	@echo "Usage: make TARGET [CONFIG=configs/fast.yaml] [SET=\"key=value …\"]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Create .venv and install what a run needs

demo: setup ## Go from download to report on embedded digits: no account, 1 to 2 minutes
	@$(COMPETITION) demo --jobs $(call quoted,$(value JOBS)) $(VERBOSED)

download: setup ## Get the data from Kaggle, or from an archive: ZIP=path; FORCE=1 gets it again
	@$(COMPETITION) download $(CONFIGURED) $(if $(value ZIP),--zip $(call quoted,$(value ZIP))) $(FORCED)

explore: setup ## Study the data before training, output/<config>/exploration/index.html
	@$(COMPETITION) explore $(CONFIGURED)

train-folds: setup $(if $(value CLUSTER),$(VENV)/.installed-cluster) ## Train every fold not trained yet; VARIANT=name only this one; FORCE=1 trains again
	@$(COMPETITION) train-folds $(CONFIGURED) $(WORKERS) $(if $(value VARIANT),--variant $(call quoted,$(value VARIANT))) $(FORCED) $(VERBOSED)

baselines: CONFIG := $(call preset,configs/baselines.yaml)
baselines: setup $(if $(value CLUSTER),$(VENV)/.installed-cluster) ## Train the classic systems, and show them beside their authors' claims
	@$(COMPETITION) baselines $(SEVERAL) $(WORKERS)

tune: setup $(if $(value CLUSTER),$(VENV)/.installed-cluster) ## Search for the best settings of VARIANT=name, with TRIALS=n in all, JOBS=n side by side
	@$(COMPETITION) tune $(CONFIGURED) $(if $(value VARIANT),--variant $(call quoted,$(value VARIANT))) $(if $(value TRIALS),--trials $(call quoted,$(value TRIALS))) $(WORKERS) $(VERBOSED)

ensemble: setup ## Combine members, compare methods, write submissions; CONFIG="a.yaml b.yaml" blends
	@$(COMPETITION) ensemble $(SEVERAL) $(VERBOSED)

compare: CONFIG := $(call preset,)
compare: setup ## Show finished runs beside the first, with a verdict: CONFIG="a.yaml b.yaml", or all
	@$(COMPETITION) compare $(SEVERAL)

gallery: setup ## Show mistakes and doubtful labels, output/<config>/gallery/index.html; ALL=1 every digit
	@$(COMPETITION) gallery $(CONFIGURED) $(if $(filter-out 0,$(value ALL)),--all)

why: setup ## Show what the nets looked at in the worst digits, output/<config>/why/index.html; ROWS="id id" adds some
	@$(COMPETITION) why $(CONFIGURED) $(if $(value ROWS),--rows $(foreach row,$(value ROWS),$(call quoted,$(row))))

report: setup ## Write the results as a page, output/<config>/report/index.html; VARIANT=name for one
	@$(COMPETITION) report $(CONFIGURED) $(if $(value VARIANT),--variant $(call quoted,$(value VARIANT)))

# The student in the repository is of this preset.
draw distil export predict serve latency: CONFIG := $(call preset,configs/best.yaml)

draw: setup ## Write output/<config>/draw.html, where the exported net reads what you draw
	@$(COMPETITION) draw $(CONFIGURED)

distil: setup ## Teach one small net what the ensemble says of every row, compare the two; FORCE=1 again
	@$(COMPETITION) distil $(CONFIGURED) --jobs $(call quoted,$(value JOBS)) $(FORCED)

export: $(VENV)/.installed-deploy ## Write the student, or VARIANT=name, for other programs; FORMAT=keras|onnx|litert, SPARSITY=0.5
	@$(COMPETITION) export $(CONFIGURED) $(if $(value FORMAT),--format $(call quoted,$(value FORMAT))) $(if $(value VARIANT),--variant $(call quoted,$(value VARIANT))) $(if $(value SPARSITY),--sparsity $(call quoted,$(value SPARSITY)))

predict: setup ## Predict IMAGES="photo.png folder/" or test.csv with MODEL=output/<config>/export, write OUT=predictions.csv
	@$(COMPETITION) predict $(CONFIGURED) --images $(foreach image,$(value IMAGES),$(call quoted,$(image))) $(MODELLED) $(if $(value OUT),--out $(call quoted,$(value OUT)))

serve: $(VENV)/.installed-deploy ## Serve the exported net and the drawing page at PORT=8000 of this machine, or of HOST=
	@$(COMPETITION) serve $(CONFIGURED) $(MODELLED) $(if $(value HOST),--host $(call quoted,$(value HOST))) $(if $(value PORT),--port $(call quoted,$(value PORT)))

latency: $(VENV)/.installed-deploy ## Measure how fast the exported nets answer, by format
	@$(COMPETITION) latency $(CONFIGURED) $(MODELLED)

submit: setup ## Check submissions/<config>.csv or FILE=path, and send it to Kaggle, with MESSAGE="…"
	@$(COMPETITION) submit $(CONFIGURED) $(if $(value FILE),--file $(call quoted,$(value FILE))) $(if $(value MESSAGE),--message $(call quoted,$(value MESSAGE))) $(FORCED)

scores: setup ## Print every submission, its out-of-fold and its public score
	@$(COMPETITION) scores

kaggle-notebook: setup ## Write a notebook that trains on Kaggle's GPUs; PUSH=1 runs it there and fetches the jobs
	@$(COMPETITION) kaggle-notebook $(CONFIGURED) $(if $(value ACCELERATOR),--accelerator $(call quoted,$(value ACCELERATOR))) $(if $(filter-out 0,$(value PUSH)),--push)

doctor: setup ## Say what is missing for a download and a submission
	@$(COMPETITION) doctor

bench: setup ## Compare the training speed with stock Keras; LONG=1 also races to a log-loss
	@$(COMPETITION) bench $(CONFIGURED) $(if $(filter-out 0,$(value LONG)),--long)

docs: setup ## Write docs/components.md from signatures and docstrings
	@$(COMPETITION) components > docs/components.md.new || { rm docs/components.md.new; exit 1; }
	@mv docs/components.md.new docs/components.md

notebook: $(VENV)/.installed-dev ## Execute notebooks/walkthrough.ipynb, and keep its outputs in it
	@rm -rf output/walkthrough  # else its trainings are done already, and print nothing
	@$(BIN)/jupyter-execute --inplace notebooks/walkthrough.ipynb

test: $(VENV)/.installed-dev ## Run all tests except the long ones, two files side by side; LONG=1 runs those, too
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(if $(filter-out 0,$(value LONG)),,-m "not long")

lint: $(VENV)/.installed-dev ## Check style, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean: setup ## Remove caches and augmented epochs, never results
	@$(COMPETITION) clean

# Whatever a user's environment or pip.conf says, packages go into $(VENV), and are really installed.
unexport PIP_DRY_RUN PIP_NO_DEPS PIP_PYTHON PIP_REPORT PYTHONHOME PYTHONPATH
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check \
	--no-user --target= --root=/ --prefix=$(call quoted,$(abspath $(VENV)))

OLD_PYTHON := Python 3.11 or newer is needed; name one: make setup PYTHON=python3.12

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(OLD_PYTHON)")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	@said=$$($(BIN)/python -c 'import albumentations, jinja2, keras, optuna, pandas, sklearn, tensorflow' 2>&1) || \
		{ echo "$$said" >&2; exit 1; }  # else TensorFlow would tell of GPUs that it does not find
	@touch $@

$(VENV)/.installed-deploy: requirements-deploy.txt $(VENV)/.installed
	$(INSTALL) -r requirements-deploy.txt
	@touch $@

$(VENV)/.installed-cluster: requirements-cluster.txt $(VENV)/.installed
	$(INSTALL) -r requirements-cluster.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(INSTALL) -r requirements-dev.txt
	@touch $@
