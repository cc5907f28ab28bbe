"""A student's runs, graded: is there one as it was asked for, does it verify, was it made with a whole seal?"""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from course.core.files import InputError, JsonLines, read_bytes, read_json
from course.core.manifest import SUMMARY, Manifest, load_manifest
from course.core.paths import ROOT
from course.core.runs import HANDWRITTEN, damage, has_a_note, list_runs
from course.core.scoring import STRICT
from course.core.seal import region_sha256
from course.core.verification import RULE_CHANGED, verify
from course.grading.note_parser import sentence_words
from course.grading.process import converse
from course.grading.verdict import MISSING, THERE, WRONG, Verdict, message_of, missing, there, wrong

RunFact = Callable[[Path, Manifest], str | None]  # (a run, its manifest) -> what is wrong with it, or None

# The hash of `pick_best` as the course ships it.
SHIPPED_RULE = "dc2513882f3bc41ecfbb4dd931fded96bcd85fe1ef88c2c5604e400861bd656a"
SLOWLY = "python -m course.policy_gradient_demo --slow"
RULE_LIMIT = 60  # seconds for one run of selection_demo with an edited rule
FEWEST_PREDICTIONS, FEWEST_REASON_WORDS = 5, 3


class Prediction(msgspec.Struct):
    """What grading needs of a line of `predictions.jsonl`."""

    step: int
    text: str


def grade_run(root: Path, experiment: str | None, *facts: RunFact, slow: bool = False) -> Verdict:
    """Is there a run of an experiment which verifies and was made with a whole seal? The newest good one counts.

    The experiment is the name in the manifest; None: a plain evaluation, Loop A. `slow`: only runs in slow motion.
    """
    problems = []
    for run in reversed(list_runs(root / "runs")):
        try:
            manifest = load_manifest(run)
            of_another = manifest.experiment != experiment or (experiment is None and not manifest.has_results)
            if of_another or (slow and manifest.settings.get("slow") is not True):
                continue
            problem = next(filter(None, (fact(run, manifest) for fact in (*facts, unsound))), None)
        except InputError as error:
            problem = message_of(error, root)
        if problem is None:
            return there(f"runs/{run.name}")
        problems.append(problem)
    return wrong(problems[0]) if problems else missing()


def unsound(run: Path, manifest: Manifest) -> str | None:
    """A run that does not verify, or that was made with a changed core. A rule that was edited since may stay."""
    checked = verify(run)
    if checked.wrong:
        return f"runs/{run.name} does not verify: {checked.wrong[0]}"
    if lost := [why for why in checked.unchecked if why != RULE_CHANGED]:
        return f"runs/{run.name} cannot be verified: {lost[0]}"
    if not manifest.core.sealed:
        broken = manifest.core.broken or ["course"]
        restore = f"git checkout -- {broken[0].split(':')[0]}"
        return f"runs/{run.name} was made with a changed core ({'; '.join(broken)}); {restore}, and run it again"
    return None


def on_the_frozen_rollouts(run: Path, manifest: Manifest) -> str | None:
    if manifest.dataset and manifest.dataset.split == "holdout":
        return f"runs/{run.name} looked at the holdout; it is kept for the end, measure on dev"
    if manifest.completions and manifest.completions.name != "frozen_rollouts_dev.jsonl":
        return f"runs/{run.name} measured {manifest.completions.name}, not the frozen rollouts"
    return None


def grade_predictions(root: Path) -> Verdict:
    """A run in slow motion; fast runs of the same demo do not count, however many came after it."""
    verdict = grade_run(root, "policy_gradient", predicted, slow=True)
    if verdict.state == MISSING and grade_run(root, "policy_gradient").state != MISSING:
        return wrong(f"no run has predictions: slow motion asks for them. Type: {SLOWLY}")
    return verdict


def predicted(run: Path, manifest: Manifest) -> str | None:
    """Was every step predicted, with a reason, before it was revealed?"""
    predictions = [row for _, row in JsonLines(run / "predictions.jsonl", Prediction)]
    if len(predictions) < FEWEST_PREDICTIONS:
        return f"runs/{run.name} has {len(predictions)} of {FEWEST_PREDICTIONS} predictions"
    for prediction in predictions:
        if sentence_words(prediction.text) < 1 + FEWEST_REASON_WORDS:
            return f"runs/{run.name}, step {prediction.step}: the prediction `{prediction.text}` does not say why"
    return None


def grade_selection(root: Path) -> Verdict:
    """A run of Loop B; and if `pick_best` is edited, the rule as it stands must choose, and choose the same twice."""
    demo = root / "course" / "selection_demo.py"
    problem = trouble_with_the_rule(root) if demo.is_file() and region_sha256(demo) != SHIPPED_RULE else None
    return wrong(problem) if problem else grade_run(root, "selection_demo")


def grade_summary(root: Path, grade: Callable[[Path], Verdict]) -> Verdict:
    """The README.md of a sound run of Loop B, which the student fills in; of several, the newest good one counts."""
    verdicts = []
    for run in reversed(list_runs(root / "runs")):
        try:
            manifest = load_manifest(run)
            if manifest.experiment != "selection_demo" or not has_a_note(run):
                continue
            problem = unsound(run, manifest)
            verdict = wrong(problem) if problem else grade(run / HANDWRITTEN)
            verdicts.append(there(f"{run.name}, {verdict.text}") if verdict.state == THERE else verdict)
        except InputError as error:
            verdicts.append(wrong(message_of(error, root)))
    verdicts.sort(key=lambda verdict: (THERE, WRONG, MISSING).index(verdict.state))
    return verdicts[0] if verdicts else missing()


def rates_of_best(root: Path, n: int) -> list[float]:
    """The mean reward of the chosen samples in every whole run of best of n, chosen by the strict scorer."""
    rates = []
    for run in list_runs(root / "runs"):
        with contextlib.suppress(InputError):  # a run that cannot be read gives no rate
            chosen = load_manifest(run).selection
            if chosen and (chosen.n, chosen.select_with) == (n, STRICT) and not damage(run):
                rates.append(float(read_json(run / SUMMARY)["mean_reward"]))
    return rates


def trouble_with_the_rule(root: Path) -> str | None:
    """What is wrong with an edited `pick_best`, found by asking it twice."""
    choices = set()
    for hash_seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as folder:
            words = ROOT / "course/grading/inside.py", "run", "course.selection_demo", "--runs-dir", folder
            variables = {"PYTHONHASHSEED": hash_seed}
            ending = converse(*words, answer=lambda _: None, seconds=RULE_LIMIT, folder=root, variables=variables)
            if not ending.well:
                return f"pick_best cannot be run: {ending.text}"
            choices.add(read_bytes(Path(folder) / "run_001" / "selection_demo.jsonl"))
    return None if len(choices) == 1 else "pick_best does not choose the same twice: break ties by a fixed rule"
