"""The adapters: the scorer's rewards, no silent zero, and examples that run."""

import asyncio
import gc
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.core.files import InputError
from course.core.paths import ROOT
from course.score import score
from transfer.stacks.batch_score import batch_score, compute_score, expected_of, text_of

STACKS = ROOT / "transfer" / "stacks"
NO_TEXT: tuple[Any, ...] = (
    None, 3, 3.5, True, b"Final: 3", (), [], {}, [[]], ["Final: 3"], [None], {"content": None}, {"role": "assistant"},
    [{"role": "assistant", "content": None}], [{"role": "assistant", "content": ["Final: 3"]}],
    [{"role": "assistant", "content": [{"type": "text", "text": "Final: 3"}]}],
    [{"role": "user", "content": "Final: 3"}],
    [{"role": "assistant", "content": "Final: 3"}, {"role": "tool", "content": "Final: 3"}],
)  # fmt: skip
NO_ANSWER = (None, True, 3.0, "3.0", "", " 3", "+3", "03", "-0", "٣", 10**18, "9" * 19, [3], {"is": 3}, "nan")
EXAMPLE = {"expected_answer": 3}
texts = st.one_of(st.text(), st.sampled_from(("Final: 3", "Final: 4", "Final: 3\n", "a\nFinal: 3", "Final: 3\ud800")))


@pytest.mark.parametrize("path", [*STACKS.glob("*.py"), *STACKS.glob("*/*.py"), *STACKS.glob("*/*.yaml")], ids=str)
def test_an_adapter_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("stack", ["trl", "inspect", "lm-eval", "verifiers"])
def test_requirements_are_pinned_as_in_the_constraints(stack: str) -> None:
    path = ROOT / "transfer" / f"requirements-{stack}.txt"
    first, *pins = path.read_text("utf-8").splitlines()
    assert first == "-c constraints.txt"
    assert pins
    assert set(pins) <= set((path.parent / "constraints.txt").read_text("utf-8").splitlines())


@given(st.lists(st.tuples(st.integers(-9, 9), texts)))
def test_batch_score_is_score(pairs: list[tuple[int, str]]) -> None:
    examples, said = [{"expected_answer": answer} for answer, _ in pairs], [text for _, text in pairs]
    right = [score(example, text) for example, text in zip(examples, said, strict=True)]
    assert batch_score(examples, said) == right
    assert batch_score(examples, [[{"role": "assistant", "content": text}] for text in said]) == right
    verl = [compute_score("", text, str(answer))["score"] for answer, text in pairs]
    assert verl == [row["reward"] for row in right]


@pytest.mark.parametrize("said", NO_TEXT, ids=repr)
def test_what_is_no_text_is_never_a_zero(said: Any) -> None:
    from transfer.stacks.lm_eval_task import scoring
    from transfer.stacks.trl_reward import one_line

    with pytest.raises(InputError, match=r"completion 1: (a .* is expected|the last message)"):
        batch_score([EXAMPLE, EXAMPLE], ["Final: 3", said])
    with pytest.raises(InputError):
        compute_score("", said, 3)
    with pytest.raises(InputError):
        one_line()([""], [said], expected_answer=[3])
    with pytest.raises(InputError):
        scoring.whole([[said]], [{"id": "a", **EXAMPLE}])
    with pytest.raises(InputError):
        scoring.process_results(EXAMPLE, [said])


@pytest.mark.parametrize("answer", NO_ANSWER, ids=repr)
def test_an_expected_answer_that_is_none_is_an_error(answer: Any) -> None:
    with pytest.raises(InputError, match="expected_answer must be an integer"):
        expected_of(answer)
    with pytest.raises(InputError, match="example 0"):
        batch_score([{"expected_answer": answer}], ["Final: 3"])


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_an_expected_answer_may_be_digits(answer: int) -> None:
    assert expected_of(answer) == expected_of(str(answer)) == answer


def test_what_does_not_belong_together_is_an_error() -> None:
    from transfer.stacks.trl_reward import one_line

    with pytest.raises(InputError, match="1 examples, but 2 completions"):
        batch_score([EXAMPLE], ["Final: 3", "Final: 3"])
    with pytest.raises(InputError, match="view: unknown: 'half'; there are whole, "):
        text_of("Final: 3", "half")
    with pytest.raises(InputError, match="no column expected_answer"):
        one_line()(["p"], ["Final: 3"], answer=[3])


def test_the_view_is_a_parameter_of_each_adapter() -> None:
    from transfer.stacks.lm_eval_task import scoring
    from transfer.stacks.trl_reward import one_line
    from transfer.stacks.verifiers_rubric import OneLine

    said = "<think>3?</think>Let me see.\nFinal: 3"
    codes: list[str] = []
    rewards = {
        view: (
            batch_score([EXAMPLE], [said], view)[0]["reward"],
            compute_score("", said, 3, view=view)["score"],
            *one_line(view)([""], [said], expected_answer=[3], log_extra=lambda name, rows: codes.extend(rows)),
            scored_by_verifiers(OneLine(view), said)["reward"],
            scoring.process_results(EXAMPLE, list(getattr(scoring, view)([[said]], [{"id": "a", **EXAMPLE}])))[
                "reward"
            ],
        )
        for view in ("whole", "last_line")
    }
    assert rewards == {"whole": (0.0,) * 5, "last_line": (1.0,) * 5}
    assert codes == ["several_lines", ""]


def scored_by_verifiers(rubric: Any, said: Any, answer: Any = "3", group: bool = False) -> Any:
    import verifiers.legacy as vf

    state = vf.State(prompt="", completion=said, answer=answer, example_id=7, trajectory=[])
    asyncio.run(rubric.score_group([state]) if group else rubric.score_rollout(state))
    return state


@pytest.mark.parametrize("group", [False, True])
def test_an_error_stops_verifiers_whose_own_way_is_a_zero(group: bool) -> None:
    import verifiers.legacy as vf

    from transfer.stacks.verifiers_rubric import OneLine

    def raises(completion: Any) -> float:
        raise ValueError("broken")

    logging.getLogger("verifiers").setLevel(logging.CRITICAL)
    assert scored_by_verifiers(vf.Rubric(funcs=[raises]), "Final: 3", group=group)["reward"] == 0  # why we read first
    for said in NO_TEXT:
        if said != ():
            with pytest.raises(InputError, match="rollout of example 7"):
                scored_by_verifiers(OneLine(), said, group=group)
    for answer in NO_ANSWER:
        with pytest.raises(InputError, match="expected_answer must be"):
            scored_by_verifiers(OneLine(), "Final: 3", answer, group)
    message = vf.AssistantMessage(content="Final: 3", reasoning_content="Final: 4")
    assert scored_by_verifiers(OneLine(), [message], group=group)["reward"] == 1


@pytest.mark.filterwarnings("ignore")
def test_inspect_fails_a_sample_that_has_no_output_or_no_target(tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.solver import generate

    from transfer.stacks.inspect_scorer import one_line

    how: dict[str, Any] = {
        "model": "mockllm/model",
        "display": "none",
        "log_level": "critical",
        "log_dir": str(tmp_path),
    }
    silent = Task(dataset=MemoryDataset([Sample(id=1, input="a", target="3")]), solver=[], scorer=one_line())
    [log] = evaluate(silent, **how)
    assert (log.status, log.results) == ("error", None)
    assert "the model gave no output" in log.error.message
    for target in ("", "3.0", "three"):
        samples = MemoryDataset([Sample(id=1, input="a", target=target)])
        [log] = evaluate(Task(dataset=samples, solver=generate(), scorer=one_line()), **how)
        assert log.status == "error"
    gc.collect()  # the streams that Inspect leaves open are complained of here, where that is filtered
