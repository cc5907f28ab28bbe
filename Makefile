# The tasks of tasks.py by their short names: `make eval`, then `make test`. PYTHON names another Python, 3.11 or newer.
PYTHON ?= python3
TASKS := eval test check prove bench explore rooms transfer seal

.PHONY: $(TASKS)

$(TASKS):
	@$(PYTHON) tasks.py $@
