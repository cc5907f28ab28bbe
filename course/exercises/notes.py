"""Notes judged by what can be judged by a program: that they are written, to the point, and true where they quote.

Whether a note is *understood* is for the teacher; a check that pretends to read prose would be an instrument that fools
itself. Figures are different: those that a note quotes from a run are held against the run.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from course.exercises.exploits import EXPLOITS, judge, load_exploits
from course.exercises.patch import PATCH, judge_patch
from course.exercises.verdict import Verdict, missing, there, wrong
from course.exercises.written import FIELD, code_blocks, fields, sections, sentence_words
from course.files import InputError, read_bytes, strict_json
from course.runs import RESULTS, load_manifest, load_results
from course.score import score

LONGEST = 1_200  # words: two pages
ENOUGH = 20  # words that a section needs, unless it says otherwise
A_FIELD = re.compile(
    r"^- (?:run|reward|code|loop of [123]|pass@[1N]|label of the gain|parsing|comparing|naming the failure"
    r"|false (?:posi|nega)tives):.*$|^- [^:\n]+:\s*$",
    re.MULTILINE,
)
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")

Facts = Callable[[Path, Path], str | None]  # (the repository, the note) -> what is wrong, or None


def judge_note(
    root: Path, name: str, headings: Mapping[str, int], drawn: tuple[str, ...] = (), *facts: Facts
) -> Verdict:
    """A note with a section for each heading, of so many words at least; `drawn` ones need a drawing besides.

    A drawing is a fenced block or an image. `facts` are asked last, when everything is written.
    """
    path = root / "notes" / name
    if not path.is_file():
        return missing(f"there is no notes/{name}")
    try:
        found = sections(path)
        words = {heading: sentence_words(A_FIELD.sub("", text)) for heading, text in found.items()}
        if not any(words.get(heading) for heading in headings) and not any(fields(path).values()):
            return missing("still the template")
        for heading, fewest in headings.items():
            if heading not in found:
                return wrong(f"the heading `## {heading}` is gone")
            if heading in drawn and not is_drawn(path, found[heading]):
                return wrong(f"`{heading}` needs a drawing: a block between ``` lines, or an image that is there")
            if words[heading] < fewest:
                return wrong(f"`{heading}` has {words[heading]} words; it needs {fewest} of your own")
        if sum(words.values()) > LONGEST:
            return wrong(f"{sum(words.values())} words are more than two pages ({LONGEST}); say less")
        for fact in facts:
            problem = fact(root, path)
            if problem:
                return wrong(problem)
    except InputError as error:
        return wrong(str(error).replace(f"{root}{os.sep}", "").removeprefix(f"notes/{name}: "))
    return there(f"{sum(words.values())} words")


def is_drawn(path: Path, text: str) -> bool:
    """Is there a fenced block, or an image whose file exists?"""
    return bool(code_blocks(text)) or any((path.parent / target).is_file() for target in IMAGE.findall(text))


def field_of(path: Path, name: str) -> str:
    """The value of a field that a note must have. Raises InputError."""
    value = fields(path).get(name.lower(), "")
    if not value:
        raise InputError(f"notes/{path.name}", f"the line `- {name}:` is empty")
    return value


def run_of(root: Path, path: Path) -> tuple[Path, dict[str, Any]]:
    """The run that a note is about, and its manifest. Raises InputError."""
    name = Path(field_of(path, "run")).name
    run = root / "runs" / name
    if not run.is_dir():
        raise InputError(f"notes/{path.name}", f"it speaks of {name}, and there is no such run")
    return run, load_manifest(run)


def same_rate(said: str, measured: float) -> bool:
    """Does what was written, `20.8 %`, `0.208` or `154/200`, say the measured rate to the digits it gives?"""
    fraction = re.fullmatch(r"([0-9]+)\s*/\s*([1-9][0-9]*)", said.strip())
    if fraction:
        return math.isclose(int(fraction[1]) / int(fraction[2]), measured, rel_tol=0, abs_tol=1e-9)
    match = re.fullmatch(r"([0-9]+(?:\.([0-9]+))?)\s*(%?)", said.strip())
    if not match:
        return False
    scale = 100 if match[3] or float(match[1]) > 1 else 1
    return math.isclose(float(match[1]), scale * measured, rel_tol=0, abs_tol=0.5 / 10 ** len(match[2] or "") + 1e-9)


def the_contradiction(root: Path, path: Path) -> str | None:
    """The first meeting's exercise: what does the scorer give the completion that introductions call right?"""
    result = score({"expected_answer": 8}, "Let me calculate... 15 - 7 = 8. Final: 8")
    reward, code = field_of(path, "reward"), field_of(path, "code")
    if not same_rate(reward, result["reward"]):
        return f"the scorer does not give that completion {reward}; ask it"
    if code != result["details"]["code"]:
        return f"the scorer's code is not {code}; ask it"
    return None


def loops_named(root: Path, path: Path) -> str | None:
    """The first meeting's three cases: measured again, best of eight, updated."""
    for case, loop in (("1", "A"), ("2", "B"), ("3", "C")):
        said = field_of(path, f"loop of {case}")
        if said.strip("()")[:1].upper() != loop:
            return f"case {case} is not Loop {said[:20]}; what changes in it: nothing, the output, or the policy?"
    return None


def three_questions(root: Path, path: Path) -> str | None:
    asked = sections(path)["Three questions"].count("?")
    return None if asked >= 3 else f"`Three questions` has {asked} question marks"


def selection_figures(root: Path, path: Path) -> str | None:
    """The figures and the label of the note on selection, held against its run."""
    run, manifest = run_of(root, path)
    if manifest.get("experiment") != "selection_demo":
        return f"{run.name} is no run of selection_demo"
    selection = strict_json(read_bytes(run / "summary.json"))["selection"]
    for name, key in (("pass@1", "pass_at_1"), ("pass@N", "pass_at_n")):
        said = field_of(path, name)
        if not same_rate(said, selection[key]):
            return f"{name} is {said} in the note, and {100 * selection[key]:.1f} % in {run.name}"
    label = re.search("selection|learning", field_of(path, "label of the gain").lower())
    if not label or label[0] == "learning":
        return "the label of the gain is `selection` or `learning`; the policy did not change, so which is it?"
    return still_failing(run, sections(path)["Where it still fails"])


def still_failing(run: Path, text: str) -> str | None:
    """At least two prompts are named, and no choice could have helped any of them."""
    rewards = {}
    for line in read_bytes(run / "selection_demo.jsonl").splitlines():
        row = strict_json(line)
        rewards[row["id"]] = row["rewards"]
    named = [key for key in dict.fromkeys(re.findall(r"[\w-]+", text)) if key in rewards]
    if len(named) < 2:
        return f"`Where it still fails` names {len(named)} prompts by their ids (dev-0002, say); it needs two or three"
    for key in named:
        if max(rewards[key]) == 1.0:
            return f"`Where it still fails` names {key}, of which some sample is right in {run.name}"
    return None


def annotated_steps(root: Path, path: Path) -> str | None:
    """Ten consecutive steps of the bandit's log, each said to be reinforced, suppressed or left, as it was."""
    run, manifest = run_of(root, path)
    if manifest.get("experiment") != "bandit_train":
        return f"{run.name} is no run of bandit_train"
    log: dict[int, list[float]] = {}
    for line in read_bytes(run / "bandit_train_log.jsonl").splitlines():
        row = json.loads(line)
        log.setdefault(row["step"], []).append(row["advantage"])
    steps = [
        (int(name.split()[1]), text)
        for name, text in FIELD.findall(sections(path)["Ten steps"])
        if re.fullmatch(r"step +[0-9]+", name)
    ]
    numbers = [number for number, _ in steps]
    if len(numbers) < 10 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"`Ten steps` needs ten lines `- step N: …` in a row; there are {len(numbers)}: {numbers}"
    for number, text in steps:
        if number not in log:
            return f"step {number} is not in {run.name}"
        if sentence_words(text) < 5:
            return f"step {number}: say what was pushed, which way, and why"
        for word, sign in (("reinforced", 1), ("suppressed", -1)):
            if word in text.lower() and not any(sign * advantage > 0 for advantage in log[number]):
                return f"step {number} is called {word}, and its advantage was {log[number][0]:+.3f}"
    return None


def token_lists(root: Path, path: Path) -> str | None:
    lists = [line for line in sections(path)["Two variants as tokens"].splitlines() if line.count("|") >= 2]
    return None if len(lists) >= 2 else "`Two variants as tokens` needs two token lists, the tokens between `|`"


def pseudocode(root: Path, path: Path) -> str | None:
    blocks = code_blocks(sections(path)["Pseudocode"])
    longest = max((len([line for line in block.splitlines() if line.strip()]) for block in blocks), default=0)
    return None if 6 <= longest <= 30 else f"the pseudocode has {longest} lines; about 15 say it all"


def where_in_the_scorer(root: Path, path: Path) -> str | None:
    """Did the student find the functions of score.py that do each part?"""
    for part, function in (("parsing", "parse"), ("comparing", "score"), ("naming the failure", "diagnose")):
        said = field_of(path, part).removesuffix("()").removeprefix("course.score.")
        if said != function:
            return f"{part} does not happen in `{said}`; read course/score.py in the order it runs"
    return None


def failure_report(root: Path, path: Path) -> str | None:
    """3 model failures, 2 spec ambiguities, 2 scorer bugs, 1 hacking attempt; the model failures are the run's."""
    run, manifest = run_of(root, path)
    if RESULTS not in manifest["files"]:
        return f"{run.name} holds no scored completions"
    found = sections(path)
    for heading, fewest in FAILURE_KINDS.items():
        items = re.split(r"^###\s+", found[heading], flags=re.MULTILINE)[1:]
        if len(items) < fewest:
            return f"`{heading}` has {len(items)} of {fewest}; each begins with a line `### …`"
        for item in items:
            title, _, text = item.partition("\n")
            if sentence_words(text) < 10:
                return f"`{title.strip()}`: say what happened, why you call it that, and a fix"
    codes: dict[str, list[str | None]] = {}
    for result in load_results(run):
        codes.setdefault(result.id, []).append(result.details["code"])
    for title in re.findall(r"^###\s+(\S+)", found["Model failures"], re.MULTILINE):
        if title not in codes:
            return f"{title} is not in {run.name}"
        if codes[title] == [None]:
            return f"{title} passed in {run.name}; a model failure failed"
    return None


FAILURE_KINDS = {"Model failures": 3, "Spec ambiguities": 2, "Scorer bugs": 2, "Reward hacking": 1}


def exact_strings(root: Path, path: Path) -> str | None:
    """The report quotes at least two accepted exploits to the letter."""
    accepted = [j.exploit.completion for j in map(judge, load_exploits(root / EXPLOITS)) if j.refusal is None]
    text = sections(path)["Exploits"]
    quoted = [c for c in accepted if c in text or json.dumps(c, ensure_ascii=False)[1:-1] in text]
    if len(quoted) < 2:
        return f"`Exploits` quotes {len(quoted)} of your accepted exploits to the letter; two are asked for"
    return None


def patch_figures(root: Path, path: Path) -> str | None:
    """The false positives and negatives that the report quotes are those of the patch."""
    for name, (count, all_of) in zip(
        ("false positives", "false negatives"), judge_patch(root / PATCH).totals(), strict=True
    ):
        said = field_of(path, name)
        if said.split("=")[0].replace(" ", "") != f"{count}/{all_of}":
            return f"{name} are {said} in the report, and {count}/{all_of} by course.red_team --patch"
    return None
