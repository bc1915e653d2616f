# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.PHONY: setup run run-scale test test-postgres test-ray check screenshots evaluate-demo benchmarks wheels clean

setup: $(STAMP)

$(STAMP): requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Settings reach the app as CHATREID_* variables, or as ARGS="--port 7861 --gallery my.db".
run: setup
	$(BIN)/python app.py $(ARGS)

# A process for each core, four at most: every one keeps an app and models of its own in memory. A file stays in one
# process, so that what its tests share is made once; those with slow tests come first (tests/conftest.py).
PROCESSES := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PROCESSES) $(ARGS)

# A gallery on PostgreSQL, and pictures in S3: what requirements-scale.txt brings, and the tests of the gallery over it.
# Each process has a PostgreSQL of its own, or databases of its own on a server of yours.
SCALE_STAMP := $(VENV)/.installed-scale
$(SCALE_STAMP): $(STAMP) requirements-scale.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-scale.txt
	@touch $@

# All that a large site runs, on this machine: PostgreSQL, the models on Ray Serve, the app. Ctrl+C ends all of it.
run-scale: $(SCALE_STAMP)
	$(BIN)/python -m deploy.run_scale $(ARGS)

POSTGRES_TESTS := $(patsubst %,tests/test_gallery_%.py,postgres store importer reimport reindex index verify export \
	copying cases imports reid kill storage s3 postgres_storage) tests/test_search_in_database.py tests/browser/test_postgres.py
# CHATREID_TEST_POSTGRES=URL takes a server of yours in place of the packaged one.
test-postgres: $(SCALE_STAMP)
	CHATREID_TEST_S3=1 CHATREID_TEST_POSTGRES=$${CHATREID_TEST_POSTGRES:-1} OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
		$(PROCESSES) -m "postgres or s3" $(POSTGRES_TESTS) $(ARGS)

# The models on a Ray Serve of this machine; without CHATREID_TEST_RAY these tests are not there.
test-ray: $(SCALE_STAMP)
	CHATREID_TEST_RAY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m ray tests/test_serving_ray.py tests/test_deployment_ray.py \
		tests/browser/test_ray.py $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy app.py
	$(BIN)/mypy app gallery_store training
	$(BIN)/vulture app gallery_store training --min-confidence 80

# The pictures of the README; needs chromium.
screenshots: setup
	$(BIN)/python -m tests.browser.screenshots

# The tables that README and docs quote: the synthetic benchmark at a seed that no training or tuning looked at, in the
# world of the shipped models, every setting and ranker; people of the demo gallery; absent people; what is read of each
# kind beside guessing; captions read back; best choice. Some ten minutes on 2 cores.
EVALUATION_SEED := 7001
evaluate-demo: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m training evaluate --benchmark synthetic --seed $(EVALUATION_SEED) --workers 2 \
		--best-choice 8
	$(BIN)/python -m tests.benchmarks.find_people
	OMP_NUM_THREADS=1 $(BIN)/python -m training evaluate --open-set --seed $(EVALUATION_SEED) --workers 2
	$(BIN)/python -m tests.benchmarks.attributes
	$(BIN)/python -m tests.benchmarks.own_words --crops 40
	$(BIN)/python -m tests.benchmarks.best_choice

benchmarks: setup
	$(BIN)/python -m tests.benchmarks.drawing
	$(BIN)/python -m tests.benchmarks.find_people
	$(BIN)/python -m tests.benchmarks.first_answer
	$(BIN)/python -m tests.benchmarks.operators
	$(BIN)/python -m tests.benchmarks.samples
	$(BIN)/python -m tests.benchmarks.datasets
	$(BIN)/python -m tests.benchmarks.metrics
	$(BIN)/python -m tests.benchmarks.attributes
	$(BIN)/python -m tests.benchmarks.affinity
	$(BIN)/python -m tests.benchmarks.best_choice

# What `python -m training demo --device cuda` and `python -m tests.benchmarks.two_billion` need beside torch, transformers and what comes with them, as wheels for a
# GPU machine without a network (docs/demo-model.md); in the versions that are installed here.
WHEELS_PYTHON := 3.12
WHEELS := open_clip_torch|ftfy|wcwidth|pydantic|pydantic_core|annotated-types|typing-inspection|sqlalchemy|rapidfuzz|peft|accelerate
wheels: setup
	rm -rf .whl && mkdir .whl
	$(BIN)/python -m pip freeze | grep -iE '^($(WHEELS))==' > .whl/wanted.txt
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --python-version $(WHEELS_PYTHON) \
		--implementation cp $(foreach old,2_28 2_27 2_17 2_12 2_5,--platform manylinux_$(old)_x86_64) \
		--platform manylinux2014_x86_64 --dest .whl -r .whl/wanted.txt
	@du -sh .whl

clean:
	rm -rf $(VENV) .whl data .pytest_cache .mypy_cache .ruff_cache
