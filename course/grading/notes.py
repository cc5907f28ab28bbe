"""Notes judged by what can be judged by a program: that they are written, to the point, and true where they quote.

Whether a note is *understood* is for the teacher; a check that pretends to read prose would be an instrument that fools
itself. Figures are different: those that a note quotes from a run are held against the run.
"""

import json
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from course import score as scorer
from course.core.files import InputError, read_bytes, strict_json
from course.core.runs import RESULTS, damage, load_manifest, load_results
from course.grading.exploits import EXPLOITS, judge, load_exploits
from course.grading.note_parser import (
    COMMENT,
    FIELD,
    code_blocks,
    fields,
    heading_key,
    read_text,
    section,
    sections,
    sentence_words,
)
from course.grading.patch import PATCH, judge_patch
from course.grading.verdict import Verdict, missing, said_of, there, wrong
from course.score import score

LONGEST = 1_200  # words: two pages
ENOUGH = 15  # words that a section needs, unless it says otherwise
IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?([^)>\s\"]+)|<img[^>]*\ssrc=[\"']([^\"']+)")
FIGURE = re.compile(r"([0-9]+)\s*(?:/|of)\s*([1-9][0-9]*)|([0-9]*[.,]?[0-9]+)\s*(%?)")
CLOSE = 0.0005 + 1e-9  # a rate is quoted to a tenth of a percent, or to the third digit

Facts = Callable[[Path, Path], str | None]  # (the repository, the note) -> what is wrong, or None


def judge_note(
    root: Path,
    name: str,
    headings: Mapping[str, int],
    drawn: tuple[str, ...] = (),
    known_fields: tuple[str, ...] = (),
    facts: tuple[Facts, ...] = (),
) -> Verdict:
    """A note with a section for each heading, of so many words at least; `drawn` ones need a drawing besides.

    A drawing is a code block or an image. `known_fields` are the template's, whose lines are no prose. `facts` are
    asked last, when everything is written.
    """
    path = root / "notes" / name
    if not path.is_file():
        return missing(f"there is no notes/{name}")
    try:
        found = sections(path)
        asked = " ".join(" ".join(COMMENT.findall(read_text(path))).split())
        words = {heading: own_words(found.get(heading_key(heading), ""), asked, known_fields) for heading in headings}
        if not any(words.values()) and not any(value for _, value in fields(read_text(path))):
            return missing("still the template")
        problems = []
        for heading, fewest in headings.items():
            if heading_key(heading) not in found:
                problems.append(f"the heading `## {heading}` is gone")
            elif heading in drawn and not is_drawn(path, found[heading_key(heading)]):
                problems.append(f"`{heading}` needs a drawing: a block between ``` lines, or an image that is there")
            elif words[heading] < fewest:
                problems.append(f"`{heading}` has {words[heading]} words; it needs {fewest} of your own")
        total = sum(own_words(text, asked, known_fields) for text in found.values())
        if total > LONGEST:
            problems.append(f"{total} words are more than two pages ({LONGEST}); say less")
        for fact in facts:
            try:
                problems += filter(None, [fact(root, path)])
            except InputError as error:
                problems.append(said_of(error, root, f"notes/{name}"))
    except InputError as error:
        return wrong(said_of(error, root, f"notes/{name}"))
    return wrong("; ".join(dict.fromkeys(problems))) if problems else there(f"{total} words")


def own_words(text: str, asked: str, known_fields: tuple[str, ...]) -> int:
    """The words of a section, but for the template's fields, and for sentences of its questions, `asked`."""

    def kept(match: re.Match[str]) -> str:
        return "" if match[1].strip().lower() in known_fields else match[0]

    sentences = re.split(r"(?<=[.?!])\s+", FIELD.sub(kept, text))
    return sum(sentence_words(s) for s in sentences if sentence_words(s) < 4 or " ".join(s.split()) not in asked)


def is_drawn(path: Path, text: str) -> bool:
    """Is there a code block, or an image whose file exists?"""
    targets = [urllib.parse.unquote(one or other) for one, other in IMAGE.findall(text)]
    return bool(code_blocks(text)) or any(len(t) < 200 and (path.parent / t).is_file() for t in targets)


def field_of(path: Path, name: str) -> str:
    """The value of a field that a note must have, the first of that name. Raises InputError."""
    value = next((value for key, value in fields(read_text(path)) if key == name.lower() and value), "")
    if not value:
        raise InputError(f"notes/{path.name}", f"there is no line `- {name}:` with a value")
    return value


def run_of(root: Path, path: Path) -> tuple[Path, dict[str, Any]]:
    """The run that a note is about, and its manifest. Raises InputError if it is not there or not whole."""
    said = field_of(path, "run")
    match = re.search(r"run_[0-9]{3,9}", said)
    run = root / "runs" / match[0] if match else root
    if not match or not run.is_dir():
        raise InputError(f"notes/{path.name}", f"it speaks of {said[:40]}, and there is no such run")
    found = damage(run)
    if found:
        raise InputError(f"notes/{path.name}", f"it speaks of {run.name}, which is damaged: {found[0]}")
    return run, load_manifest(run)


def same_rate(said: str, measured: float) -> bool:
    """Is the first figure of what was said the measured rate? `20.8 %`, `0.208`, `20,8`, `154/200` are all figures."""
    match = FIGURE.search(said)
    if not match:
        return False
    if match[1]:
        return math.isclose(int(match[1]) / int(match[2]), measured, rel_tol=0, abs_tol=1e-9)
    number = float(match[3].replace(",", "."))
    return abs((number / 100 if match[4] or number > 1 else number) - measured) <= CLOSE


def the_contradiction(root: Path, path: Path) -> str | None:
    """The first meeting's exercise: what does the scorer give the completion that introductions call right?"""
    result = score({"expected_answer": 8}, "Let me calculate... 15 - 7 = 8. Final: 8")
    reward, code = field_of(path, "reward"), field_of(path, "code")
    if not same_rate(reward, result["reward"]):
        return f"the scorer does not give that completion {reward}; ask it"
    if result["details"]["code"] not in re.findall(r"\w+", code):
        return f"the scorer's code is not {code}; ask it"
    return None


def loops_named(root: Path, path: Path) -> str | None:
    """The first meeting's three cases: measured again, best of eight, updated."""
    for case, loop in (("1", "A"), ("2", "B"), ("3", "C")):
        said = field_of(path, f"loop of {case}")
        if set(re.findall(r"\b[ABC]\b", said)) != {loop} and said.lower() != loop.lower():
            return f"case {case} is not `{said[:20]}`; what changes in it: nothing, the output, or the policy?"
    return None


def three_questions(root: Path, path: Path) -> str | None:
    questions = re.split(r"(?<=\?)", section(path, "Three questions"))
    asked = {question.strip() for question in questions if question.endswith("?") and sentence_words(question) >= 3}
    return None if len(asked) >= 3 else f"`Three questions` has {len(asked)} questions of your own"


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
    label = re.sub(r"\bnot (?:a )?learning\b", "", field_of(path, "label of the gain").lower())
    words = set(re.findall(r"\b(?:selection|learning|no|not)\b", label))
    if words != {"selection"}:
        return "the label of the gain is `selection` or `learning`; the policy did not change, so which is it?"
    return still_failing(run, section(path, "Where it still fails"))


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
        row = strict_json(line)
        log.setdefault(row["step"], []).append(row["advantage"])
    steps = [
        (int(name.split()[1]), text)
        for name, text in fields(section(path, "Ten steps"))
        if re.fullmatch(r"step +[0-9]{1,6}", name)
    ]
    numbers = [number for number, _ in steps]
    if len(numbers) < 10 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"`Ten steps` needs ten lines `- step N: …` in a row; there are {len(numbers)}: {numbers}"
    for number, text in steps:
        if number not in log:
            return f"step {number} is not in {run.name}"
        if sentence_words(text) < 5:
            return f"step {number}: say what was pushed, which way, and why"
        problem = misread(text, log[number])
        if problem:
            return f"step {number} {problem}"
    return None


ALSO = {
    "reinforced": ("pushed up", "more likely", "went up", "goes up"),
    "suppressed": ("pushed down", "less likely", "went down", "goes down"),
    "left": ("unchanged", "nothing", "not pushed", "same"),
}


def misread(text: str, advantages: list[float]) -> str | None:
    """What is wrong with what a line says of the push, held against the advantages of its step."""
    said = re.sub(r"\bnot (?:reinforced|suppressed|pushed (?:up|down))\b", "", text.lower())
    claims = {
        "reinforced": any(advantage > 0 for advantage in advantages),
        "suppressed": any(advantage < 0 for advantage in advantages),
        "left": any(advantage == 0 for advantage in advantages),
    }
    made = [word for word in claims if any(way in said for way in (word, *ALSO[word]))]
    if not made:
        return "does not say whether what it sampled was reinforced, suppressed, or left as it was"
    false = [word for word in made if not claims[word] and word != "left"]
    if false or (made == ["left"] and not claims["left"]):
        return f"is called {(false or made)[0]}, and its advantage was {advantages[0]:+.3f}"
    return None


def token_lists(root: Path, path: Path) -> str | None:
    lines = {line.strip() for line in section(path, "Two variants as tokens").splitlines()}
    lists = [line for line in lines if line.count("|") >= 2 and "final" in line.lower()]
    return None if len(lists) >= 2 else "`Two variants as tokens` needs two token lists, the tokens between `|`"


def pseudocode(root: Path, path: Path) -> str | None:
    blocks = code_blocks(section(path, "Pseudocode"))
    longest = max((len([line for line in block.splitlines() if line.strip()]) for block in blocks), default=0)
    return None if 6 <= longest <= 30 else f"the pseudocode has {longest} lines; about 15 say it all"


def where_in_the_scorer(root: Path, path: Path) -> str | None:
    """Did the student find the functions of score.py that do each part?"""
    for part, function in (("parsing", "parse"), ("comparing", "score"), ("naming the failure", "diagnose")):
        said = field_of(path, part)
        words = re.findall(r"[a-z_]+", re.sub(r"\b(?:course[./])?score\.(?:py\b)?", "", said))
        named = next((word for word in words if callable(getattr(scorer, word, None))), None)
        if named != function:
            return f"{part} does not happen in: {said}. Read course/score.py in the order it runs"
    return None


def failure_report(root: Path, path: Path) -> str | None:
    """3 model failures, 2 spec ambiguities, 2 scorer bugs, 1 hacking attempt; the model failures are the run's."""
    run, manifest = run_of(root, path)
    if RESULTS not in manifest["files"]:
        return f"{run.name} holds no scored completions"
    titles: dict[str, list[str]] = {}
    for heading, fewest in FAILURE_KINDS.items():
        items = re.split(r"^###\s+", section(path, heading), flags=re.MULTILINE)[1:]
        titles[heading] = list(dict.fromkeys(item.partition("\n")[0].strip() for item in items))
        if len(titles[heading]) < fewest:
            return f"`{heading}` has {len(titles[heading])} of {fewest}; each begins with a line `### …`"
        for item in items:
            if sentence_words(item.partition("\n")[2]) < 10:
                title = item.partition("\n")[0].strip()
                return f"`{title}`: say what happened, why you call it that, and a fix"
    codes: dict[str, list[str | None]] = {}
    for result in load_results(run):
        codes.setdefault(result.id, []).append(result.details["code"])
    failed = set()
    for title in titles["Model failures"]:
        key = next((word for word in re.findall(r"[^\s`*:,]+", title) if word in codes), None)
        if key is None:
            return f"`{title}` names no example of {run.name}"
        if all(code is None for code in codes[key]):
            return f"{key} passed in {run.name}; a model failure failed"
        failed.add(key)
    return None if len(failed) >= 3 else f"`Model failures` names {len(failed)} different examples, not three"


FAILURE_KINDS = {"Model failures": 3, "Spec ambiguities": 2, "Scorer bugs": 2, "Reward hacking": 1}


def exact_strings(root: Path, path: Path) -> str | None:
    """The report quotes at least two accepted exploits to the letter, or as they stand in the file of exploits."""
    accepted = {j.exploit.completion for j in map(judge, load_exploits(root / EXPLOITS)) if j.refusal is None}
    text = section(path, "Exploits")
    spellings = {c: (c, json.dumps(c, ensure_ascii=False)[1:-1], json.dumps(c)[1:-1]) for c in accepted}
    quoted = [c for c, ways in spellings.items() if any(way in text for way in ways)]
    if len(quoted) < 2:
        return f"`Exploits` quotes {len(quoted)} of your accepted exploits to the letter; two are asked for"
    return None


def patch_figures(root: Path, path: Path) -> str | None:
    """The false positives and negatives that the report quotes are those of the patch."""
    totals = judge_patch(root / PATCH).totals()
    for name, (count, all_of) in zip(("false positives", "false negatives"), totals, strict=True):
        said = field_of(path, name)
        match = FIGURE.search(said)
        if not match or (match[1], match[2]) != (str(count), str(all_of)):
            return f"{name} are {said} in the report, and {count}/{all_of} by course.red_team --patch"
    return None
