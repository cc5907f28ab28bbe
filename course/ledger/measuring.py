"""What the ledger measures of Loop A: of the scorer, and of reading numbers. No PyTorch.

A measurement takes a seed, and gives numbers by name. Those without chance in them ignore it.
"""

import random
from pathlib import Path

from course.core import stats
from course.core.datasets import CompletionsFile, load_dataset
from course.core.golden import check_golden, load_cases
from course.core.measurement import Measurement
from course.core.paths import DEV, FROZEN, GOLDEN, PACK
from course.core.runs import Result
from course.core.scoring import SCORERS, STRICT, scorer_named
from course.grading.mutants import MUTANTS
from course.ledger.ledger import Measured, Number
from course.rubrics import RUBRICS, integers
from course.score import score
from course.token_inspect import EXAMPLE, TEXTS
from course.token_inspect import Settings as TokenSettings
from course.token_inspect import run as inspect_tokens

GARBAGE = "Final: 42\nBut also 43 might work?\nActually I'm not sure\nThe answer could be 42"
COMPARISONS, PROMPTS = 2_000, 50
ODD_TEXTS = 5_000
PIECES = ("Final: ", "final:", "323", "-", "0", " ", "\n", "\u00a0", "٣", "9" * 5_000, "\ud800", "\0", "9**9**9", ".")


def scored(completions: Path) -> list[Result]:
    """The results of a file of the dev split."""
    return list(Measurement(DEV, completions))


def frozen(_: int) -> Measured:
    """The frozen rollouts: how many pass, and what the others lack."""
    results = scored(FROZEN)
    failures = [result for result in results if result.reward == 0]
    holding = sum(result.expected_answer in integers(result.completion or "") for result in failures)
    values: dict[str, Number] = {
        "right_number_refused": (holding, len(failures)),
        "kinds": float(len({result.code for result in failures})),
    }
    return Measured(values, len(results), "completions")


def draws(_: int) -> Measured:
    """The pack: how often the same prompt gets different answers, and what one measurement differs from another."""
    by_prompt: dict[str, set[str]] = {}
    passes: dict[int, int] = {}
    for result in scored(PACK):
        by_prompt.setdefault(result.id, set()).add(result.completion or "")
        passes[result.sample] = passes.get(result.sample, 0) + (result.reward == 1)
    several = sum(len(texts) > 1 for texts in by_prompt.values())
    rates = [count / len(by_prompt) for count in passes.values()]
    values: dict[str, Number] = {"several_answers": (several, len(by_prompt)), "spread": max(rates) - min(rates)}
    return Measured(values, len(by_prompt) * len(rates), "completions")


def luck(seed: int) -> Measured:
    """Pairs of measurements of one policy on 50 prompts, nothing changed: how far apart are their rates?"""
    rewards: dict[str, list[float]] = {}
    for result in scored(PACK):
        rewards.setdefault(result.id, []).append(result.reward)
    rng = random.Random(f"luck:{seed}")
    small = real = 0
    for _ in range(COMPARISONS):
        before, after = rng.sample(range(len(next(iter(rewards.values())))), 2)
        chosen = rng.sample(sorted(rewards), PROMPTS)
        pair = [{key: (1, int(rewards[key][turn])) for key in chosen} for turn in (before, after)]
        verdict = stats.paired(*pair)
        small += abs(verdict.difference) >= 0.02 - 1e-9
        real += verdict.difference > 0 and stats.noise_rule(PROMPTS, verdict.difference).startswith("calls it real")
    shares: dict[str, Number] = {"two_points": small / COMPARISONS, "called_real": real / COMPARISONS}
    return Measured(shares, COMPARISONS, "comparisons of 50 prompts without any change")


def instruments(_: int) -> Measured:
    """The same completions, measured by the strict scorer and by every weak rubric."""
    examples = load_dataset(DEV).examples
    completions = [(examples[row.id], row.completion) for row in CompletionsFile(PACK, examples)]
    scorers = {name: scorer_named(name) for name in SCORERS}
    rewards = {name: [scorer(*pair)["reward"] for pair in completions] for name, scorer in scorers.items()}
    rates = [sum(given) / len(given) for given in rewards.values()]
    paid = [strict for strict, loose in zip(rewards[STRICT], rewards["anywhere"], strict=True) if loose == 1]
    values: dict[str, Number] = {"spread": max(rates) - min(rates), "paid_and_refused": (paid.count(0), len(paid))}
    return Measured(values, len(completions), "completions")


def golden(_: int) -> Measured:
    """The golden gate before the true scorer, before the weak rubrics, and before scorers with one fault each."""
    others = [mutant.make() for mutant in MUTANTS] + [rubric.score for rubric in RUBRICS.values()]
    caught = sum(not check_golden(scorer=scorer).passed for scorer in others)
    right = check_golden()
    wrong = sum(map(len, right.errors.values()))
    values: dict[str, Number] = {"caught": (caught, len(others)), "wrong_of_true": float(wrong)}
    return Measured(values, right.cases, "golden cases")


def garbage(_: int) -> Measured:
    """What loose rules pay for a text that nobody wants, and for the golden exploits."""
    example = {"expected_answer": 42}
    cases = load_cases(GOLDEN / "golden_exploits.jsonl", 0.0)
    paying = sum(
        any(rubric.score({"expected_answer": case.expected_answer}, case.given)["reward"] > 0 for case in cases)
        for rubric in RUBRICS.values()
    )
    values: dict[str, Number] = {
        "loose": float(RUBRICS["anywhere"].score(example, GARBAGE)["reward"]),
        "strict": float(score(example, GARBAGE)["reward"]),
        "rubrics_that_pay": (paying, len(RUBRICS)),
    }
    return Measured(values, len(cases), "exploits")


def totality(seed: int) -> Measured:
    """Odd texts, each scored twice: does the scorer raise, and does it say the same again?"""
    rng = random.Random(f"odd:{seed}")
    raised = differed = 0
    for _ in range(ODD_TEXTS):
        text = "".join(rng.choices(PIECES, k=rng.randint(0, 6)))
        try:
            differed += score(EXAMPLE, text) != score(EXAMPLE, text)
        except Exception:
            raised += 1
    return Measured({"raised": float(raised), "differed": float(differed)}, ODD_TEXTS, "odd texts")


def proxy_gap(_: int) -> Measured:
    """Of what the strict scorer pays, how much does state the right number, read by other means?"""
    paid = [result for result in scored(PACK) if result.reward == 1]
    right = sum(integers(result.completion or "") == [result.expected_answer] for result in paid)
    return Measured({"right_of_paid": (right, len(paid))}, len(paid), "completions that were paid")


def tokens(_: int) -> Measured:
    """Five texts that a reader takes for the same: how many token sequences, how many that the scorer pays?"""
    rows = inspect_tokens(TokenSettings()).rows
    apart, merged = rows[0]["tokens"].values()
    sequences = {tuple(token["id"] for token in next(iter(row["tokens"].values()))) for row in rows}
    values: dict[str, Number] = {
        "sequences": (len(sequences), len(TEXTS)),
        "paid": float(sum(row["reward"] == 1 for row in rows)),
        "digits_apart": float(len(apart)),
        "digits_merged": float(len(merged)),
    }
    return Measured(values, len(TEXTS), "texts")
