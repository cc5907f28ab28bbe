"""The examples run, and print what the scorer says."""

import gc
from pathlib import Path

import pytest

from course.core.datasets import CompletionsFile, load_dataset
from course.core.files import InputError
from course.core.paths import DEV, FROZEN
from course.score import score
from transfer.examples.pi0 import needs

pytestmark = pytest.mark.filterwarnings("ignore")  # of the stacks' own libraries


def test_a_package_that_is_missing_is_named() -> None:
    missing = pytest.raises(InputError, match=r"^trl: not installed: pip install -r requirements-trl\.txt")
    with missing, needs("trl", "-r requirements-trl.txt"):
        raise ImportError("No module named 'trl'")


def test_grpo_is_paid_by_the_scorer_and_stops_where_it_cannot_be() -> None:
    from transfer.examples.trl_grpo import Settings, run

    rewards = run(Settings(steps=2))
    assert len(rewards) == 2
    assert rewards == run(Settings(steps=2))  # the seed decides
    assert all(0 < reward < 1 and (reward * 64).is_integer() for reward in rewards)
    with pytest.raises(InputError, match="a message with a text as its content is expected"):
        run(Settings(steps=1, view="chat_message"))  # of π0's plain texts


def test_inspect_measures_the_rate_of_the_shipped_rollouts(tmp_path: Path) -> None:
    from transfer.examples.inspect_eval import Settings, run

    log = run(Settings(limit=40, log_dir=tmp_path))
    examples = load_dataset(DEV).examples
    rows = list(CompletionsFile(FROZEN, examples))[:40]
    assert [sample.output.completion for sample in log.samples] == [row.completion for row in rows]
    scored = [sample.scores["one_line"] for sample in log.samples]
    right = [score(examples[row.id], row.completion) for row in rows]
    assert [(one.value, one.metadata) for one in scored] == [(row["reward"], row["details"]) for row in right]
    assert 0 < sum(one.value for one in scored) < 40
    gc.collect()  # the streams that Inspect leaves open are complained of here, where that is filtered


def test_lm_eval_measures_pi0() -> None:
    from transfer.examples.lm_eval_dev import Settings, run

    rewards = run(Settings(limit=64))
    assert len(rewards) == 64
    assert set(rewards) == {0.0, 1.0}


def test_verifiers_scores_the_shipped_rollouts() -> None:
    from transfer.examples.verifiers_rollouts import Settings, run

    states = run(Settings())
    assert sum(state["reward"] for state in states) == 332  # as `course.eval` counts on the same pack
    assert all((state["reward"] == 1) == (state["code"] == "") for state in states)
