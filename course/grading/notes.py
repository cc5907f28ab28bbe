"""Notes graded by what a program can grade: that they are written, to the point, and true where they quote.

Whether a note is *understood* is for the teacher; a check that pretends to read prose would be an instrument that fools
itself. Figures are different: those that a note quotes from a run are held against the run.
"""

import json
import math
import operator
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import msgspec

from course import score as scorer
from course.core.files import InputError, JsonLines, read_json
from course.core.manifest import SUMMARY, load_manifest
from course.core.runs import damage, load_results
from course.core.scoring import counts_by_example
from course.grading.exploits import EXPLOITS, grade_file
from course.grading.note_parser import FIELD, Note, code_blocks, fields, heading_key, read_note, sentence_words
from course.grading.patch import PATCH, grade_patch
from course.grading.student_runs import rates_of_best
from course.grading.verdict import Verdict, message_of, missing, there, wrong

LONGEST = 1_200  # words: two pages
ENOUGH = 15  # words that a section needs, unless it says otherwise
IMAGE = re.compile(r"!\[[^\]\[]*\]\(\s*<?([^)>\s\"]+)|<img[^<>]*?\ssrc=[\"']([^\"']+)")
FIGURE = re.compile(r"([0-9]+)\s*(?:/|of)\s*([1-9][0-9]*)|([0-9]*[.,]?[0-9]+)\s*(%?)")
CLOSE = 0.0005 + 1e-9  # a rate is quoted to a tenth of a percent, or to the third digit

SELECTION_FIGURES = {
    "average reward, N = 1": "mean_reward_first",
    "average reward, chosen": "mean_reward_chosen",
    "pass@1": "pass_at_1",
    "pass@N": "pass_at_n",
}

Fact = Callable[[Note], str | None]  # what is wrong with a note, or None; raises InputError too


class SelectedRow(msgspec.Struct):
    """What a note needs of a line of `selection_demo.jsonl`."""

    id: str
    rewards: list[float]


class BanditRow(msgspec.Struct):
    """What a note needs of a line of `bandit_train_log.jsonl`."""

    step: int
    advantage: float


def grade_note(
    path: Path, headings: dict[str, int], facts: tuple[Fact, ...], known_fields: tuple[str, ...] = (), drawn: str = ""
) -> Verdict:
    """A note with a section for each heading, of so many words at least, and a drawing in section `drawn`.

    A drawing is a code block or an image. `known_fields` are the template's, whose lines are no prose. `facts` are
    asked last, when everything is written. Raises InputError if the note cannot be read.
    """
    note = read_note(path)
    words = {key: own_words(text, note.questions, known_fields) for key, text in note.sections.items()}
    if not any(words.values()) and not any(value for _, value in note.fields):
        return missing("still the template")
    problems = []
    for heading, fewest in (headings | ({drawn: 0} if drawn else {})).items():
        key = heading_key(heading)
        if key not in words:
            problems.append(f"the heading `## {heading}` is gone")
        elif heading == drawn and not is_drawn(path, note.section(heading)):
            problems.append(f"`{heading}` needs a drawing: a block between ``` lines, or an image that is there")
        elif words[key] < fewest:
            problems.append(f"`{heading}` has {words[key]} words; it needs {fewest} of your own")
    if sum(words.values()) > LONGEST:
        problems.append(f"{sum(words.values())} words are more than two pages ({LONGEST}); say less")
    for fact in facts:
        try:
            problems += filter(None, [fact(note)])
        except InputError as error:
            problems.append(message_of(error, note.root, note.name))
    return wrong("; ".join(dict.fromkeys(problems))) if problems else there(f"{sum(words.values())} words")


def own_words(text: str, questions: str, known_fields: tuple[str, ...]) -> int:
    """The words of a section, but for the template's fields and sentences of its `questions`."""
    prose = FIELD.sub(lambda match: "" if match[1].strip().lower() in known_fields else match[0], text)
    sentences = re.split(r"(?<=[.?!])\s+", prose)
    return sum(sentence_words(s) for s in sentences if sentence_words(s) < 4 or " ".join(s.split()) not in questions)


def is_drawn(path: Path, text: str) -> bool:
    """Is there a code block, or an image whose file exists?"""
    targets = [urllib.parse.unquote(markdown or html) for markdown, html in IMAGE.findall(text)]
    return bool(code_blocks(text)) or any(len(t) < 200 and (path.parent / t).is_file() for t in targets)


def run_of(note: Note, experiment: str | None) -> Path:
    """The run that a note is about. Raises InputError if it is not there, not whole, or of another experiment."""
    value = note.field("run")
    match = re.search(r"run_[0-9]{3,9}", value)
    run = note.root / "runs" / match[0] if match else note.root
    if not match or not run.is_dir():
        raise InputError(note.name, f"it speaks of {value[:40]}, and there is no such run")
    if problems := damage(run):
        raise InputError(note.name, f"it speaks of {run.name}, which is damaged: {problems[0]}")
    manifest = load_manifest(run)
    if not (manifest.experiment == experiment if experiment else manifest.has_results):
        raise InputError(note.name, f"{run.name} is no run of {experiment or 'an evaluation'}")
    return run


def same_rate(quoted: str, measured: float) -> bool:
    """Is the first figure of a text the measured rate? `20.8 %`, `0.208`, `20,8`, `154/200` are all figures."""
    match = FIGURE.search(quoted)
    if not match:
        return False
    if match[1]:
        return math.isclose(int(match[1]) / int(match[2]), measured, rel_tol=0, abs_tol=1e-9)
    number = float(match[3].replace(",", "."))
    return abs((number / 100 if match[4] or number > 1 else number) - measured) <= CLOSE


def the_contradiction(note: Note) -> str | None:
    """The first meeting's exercise: what does the scorer give the completion that introductions call right?"""
    result = scorer.score({"expected_answer": 8}, "Let me calculate... 15 - 7 = 8. Final: 8")
    reward, code = note.field("reward"), note.field("code")
    if not same_rate(reward, result["reward"]):
        return f"the scorer does not give that completion {reward}; ask it"
    if result["details"]["code"] not in re.findall(r"\w+", code):
        return f"the scorer's code is not {code}; ask it"
    return None


def loops_named(note: Note) -> str | None:
    """The first meeting's three cases: measured again, best of eight, updated."""
    for case, loop in (("1", "A"), ("2", "B"), ("3", "C")):
        said = note.field(f"loop of {case}")
        if set(re.findall(r"\b[ABC]\b", said)) != {loop} and said.lower() != loop.lower():
            return f"case {case} is not `{said[:20]}`; what changes in it: nothing, the output, or the policy?"
    return None


def three_questions(note: Note) -> str | None:
    questions = re.split(r"(?<=\?)", note.section("Three questions"))
    asked = {question.strip() for question in questions if question.endswith("?") and sentence_words(question) >= 3}
    return None if len(asked) >= 3 else f"`Three questions` has {len(asked)} questions of your own"


def selection_figures(note: Note) -> str | None:
    """A run's README.md held against the run: figures, label, and two prompts that no choice could help."""
    run = note.path.parent
    summary = read_json(run / SUMMARY)
    measured = {**summary["selection"], "mean_reward_chosen": summary["mean_reward"]}
    for name, key in SELECTION_FIGURES.items():
        said = note.field(name)
        if not same_rate(said, measured[key]):
            return f"{name} is {said} in the note, and {100 * measured[key]:.1f} % in {run.name}"
    label = re.sub(r"\bnot (?:a )?learning\b", "", note.field("label of the gain").lower())
    words = set(re.findall(r"\b(?:selection|learning|no|not)\b", label))
    if words != {"selection"}:
        return "the label of the gain is `selection` or `learning`; the policy did not change, so which is it?"
    best = {row.id: max(row.rewards) for _, row in JsonLines(run / "selection_demo.jsonl", SelectedRow)}
    words = set(re.findall(r"[\w-]+", note.section("Where it still fails")))
    named = [key for key in best if key in words]
    if len(named) < 2:
        return f"`Where it still fails` names {len(named)} prompts by their ids (dev-0002, say); it needs two or three"
    helped = next((key for key in named if best[key] == 1.0), None)
    return helped and f"`Where it still fails` names {helped}, of which some sample is right in {run.name}"


def best_of_each(note: Note) -> str | None:
    """The figures of best of 1, 4 and 8 are those of the student's own runs."""
    for n in (1, 4, 8):
        said = note.field(f"best of {n}")
        if not any(same_rate(said, rate) for rate in rates_of_best(note.root, n)):
            return f"best of {n} is {said} in the note, and in no run here: python -m course.selection_demo --n {n}"
    return None


def annotated_steps(note: Note) -> str | None:
    """Ten consecutive steps of the bandit's log, each said to be reinforced, suppressed or left, as it was."""
    run = run_of(note, "bandit_train")
    log: dict[int, list[float]] = {}
    for _, row in JsonLines(run / "bandit_train_log.jsonl", BanditRow):
        log.setdefault(row.step, []).append(row.advantage)
    lines = fields(note.section("Ten steps"))
    steps = [(int(name.split()[1]), text) for name, text in lines if re.fullmatch(r"step +[0-9]{1,6}", name)]
    numbers = [number for number, _ in steps]
    if len(numbers) < 10 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"`Ten steps` needs ten lines `- step N: …` in a row; there are {len(numbers)}: {numbers}"
    for number, text in steps:
        if number not in log:
            return f"step {number} is not in {run.name}"
        if sentence_words(text) < 5:
            return f"step {number}: say what was pushed, which way, and why"
        if problem := misread(text, log[number]):
            return f"step {number} of {run.name} {problem}"
    return None


# What a line can say of the push, how the advantage then compares with 0, and the words for it.
PUSHES: dict[str, tuple[Callable[[float, float], bool], tuple[str, ...]]] = {
    "reinforced": (operator.gt, ("reinforced", "pushed up", "more likely", "went up", "goes up")),
    "suppressed": (operator.lt, ("suppressed", "pushed down", "less likely", "went down", "goes down")),
    "left": (operator.eq, ("left", "unchanged", "nothing", "not pushed", "same")),
}


def misread(text: str, advantages: list[float]) -> str | None:
    """What is wrong with what a line says of the push, held against the advantages of its step."""
    said = re.sub(r"\bnot (?:reinforced|suppressed|pushed (?:up|down))\b", "", text.lower())
    made = [push for push, (_, ways) in PUSHES.items() if any(way in said for way in ways)]
    if not made:
        return "does not say whether what it sampled was reinforced, suppressed, or left as it was"
    for push in made:
        true = any(PUSHES[push][0](advantage, 0) for advantage in advantages)
        if not true and (push != "left" or len(made) == 1):
            return f"is called {push}, and its advantage was {advantages[0]:+.3f}"
    return None


def token_lists(note: Note) -> str | None:
    lines = {line.strip() for line in note.section("Two variants as tokens").splitlines()}
    lists = [line for line in lines if line.count("|") >= 2 and "final" in line.lower()]
    return None if len(lists) >= 2 else "`Two variants as tokens` needs two token lists, the tokens between `|`"


def pseudocode(note: Note) -> str | None:
    blocks = code_blocks(note.section("Pseudocode"))
    longest = max((len([line for line in block.splitlines() if line.strip()]) for block in blocks), default=0)
    return None if 6 <= longest <= 30 else f"the pseudocode has {longest} lines; about 15 say it all"


def where_in_the_scorer(note: Note) -> str | None:
    """Did the student find the functions of score.py that do each part?"""
    for part, function in (("parsing", "parse"), ("comparing", "score"), ("naming the failure", "diagnose")):
        said = note.field(part)
        words = re.findall(r"[a-z_]+", re.sub(r"\b(?:course[./])?score\.(?:py\b)?", "", said))
        named = next((word for word in words if callable(getattr(scorer, word, None))), None)
        if named != function:
            return f"{part} does not happen in: {said}. Read course/score.py in the order it runs"
    return None


FAILURE_KINDS = {"Model failures": 3, "Spec ambiguities": 2, "Scorer bugs": 2, "Reward hacking": 1}


def failure_report(note: Note) -> str | None:
    """3 model failures, 2 spec ambiguities, 2 scorer bugs, 1 hacking attempt; the model failures are the run's."""
    run = run_of(note, None)
    for heading, fewest in FAILURE_KINDS.items():
        items = items_below(note, heading)
        titles = {title for title, _ in items}
        if len(titles) < fewest:
            return f"`{heading}` has {len(titles)} of {fewest}; each begins with a line `### …`"
        for title, text in items:
            if sentence_words(text) < 10:
                return f"`{title}`: say what happened, why you call it that, and a fix"
    failures = counts_by_example((result.id, result.reward < 1.0) for result in load_results(run))
    named = set()
    for title, _ in items_below(note, "Model failures"):
        key = next((word for word in re.findall(r"[^\s`*:,]+", title) if word in failures), None)
        if key is None:
            return f"`{title}` names no example of {run.name}"
        if failures[key][1] == 0:
            return f"{key} passed in {run.name}; a model failure failed"
        named.add(key)
    return None if len(named) >= 3 else f"`Model failures` names {len(named)} different examples, not three"


def items_below(note: Note, heading: str) -> list[tuple[str, str]]:
    """(title, text) of every item of a section; an item begins with a line `### title`."""
    items = re.split(r"^###\s+", note.section(heading), flags=re.MULTILINE)[1:]
    return [(title.strip(), text) for title, _, text in (item.partition("\n") for item in items)]


def exact_strings(note: Note) -> str | None:
    """The report quotes at least two accepted exploits to the letter, or as they stand in the file of exploits."""
    accepted = {graded.exploit.completion for graded in grade_file(note.root / EXPLOITS) if graded.accepted}
    text = note.section("Exploits")
    in_file = (lambda s: s, lambda s: json.dumps(s, ensure_ascii=False)[1:-1], lambda s: json.dumps(s)[1:-1])
    quoted = sum(any(spelled(string) in text for spelled in in_file) for string in accepted)
    asked = "of your accepted exploits to the letter; two are asked for"
    return None if quoted >= 2 else f"`Exploits` quotes {quoted} {asked}"


def patch_figures(note: Note) -> str | None:
    """The false positives and negatives that the report quotes are those of the patch."""
    totals = grade_patch(note.root / PATCH).totals()
    for name, (count, all_of) in zip(("false positives", "false negatives"), totals, strict=True):
        said = note.field(name)
        match = FIGURE.search(said)
        if not match or (match[1], match[2]) != (str(count), str(all_of)):
            return f"{name} are {said} in the report, and {count}/{all_of} by course.red_team --patch"
    return None
