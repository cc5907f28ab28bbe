"""The rows of a page's table: which results it shows, and how they travel to its script.

A run may hold more results than a page can. What is counted is counted over all of them; which are shown is a rule
that the page states. They are read one at a time, and only those that are shown are kept.
"""

import heapq
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from course.core.display import unusual_characters, visible
from course.core.files import to_json
from course.core.report.page import spell
from course.core.runs import Result
from course.core.scoring import REASONS
from course.core.stats import Paired

ROWS, ROOM = 20_000, 16_000_000  # a page shows at most so many rows, of so many characters
LONGEST_TEXT = 10_000  # characters of a text that is shown; the scorer reads no longer completion
PASSED, UNKNOWN = "passed", "unknown_code"
MEANINGS = {
    **REASONS,
    PASSED: "exactly one line in form, and the expected number",
    UNKNOWN: "a code that this scorer does not know",
}
WRITTEN_LONGER = re.compile(r"[^ !#-%(-;=?-\[\]-~]")  # a character that takes up to 18 on a page

Place = tuple[str, int]  # an example, and which of its results in the run
Pair = list[Result | None]  # the result of each run at one place


def code_of(result: Result) -> str:
    """What is counted and filtered by: that it passed, a code of the scorer, or one for all others (a forged run's)."""
    return PASSED if result.code is None else result.code if result.code in REASONS else UNKNOWN


def placed(results: Iterable[Result]) -> Iterator[tuple[Place, Result]]:
    """Every result with its place, by which two runs are set side by side: the first of an example with the first."""
    met: Counter[str] = Counter()
    for result in results:
        yield (result.id, met[result.id]), result
        met[result.id] += 1


def order(place: Place) -> int:
    """Which places come first, by a hash: neither where they lie in a file nor what they say decides."""
    return zlib.crc32(f"{place[0]}\n{place[1]}".encode("utf-8", "surrogatepass"))


class Drawn:
    """Of each code, the places that come first in `order`, as many as a page has rows for."""

    def __init__(self) -> None:
        self.by_code: defaultdict[str, list[tuple[int, Place]]] = defaultdict(list)  # heaps, the last place first

    def take(self, place: Place, code: str) -> None:
        heap, entry = self.by_code[code], (-order(place), place)
        if len(heap) < ROWS:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)

    def queues(self) -> list[list[Place]]:
        return [[place for _, place in sorted(heap, reverse=True)] for heap in self.by_code.values()]


def first_of(examples: Iterable[str]) -> list[Place]:
    """The first results of some examples, those that come first in `order`."""
    return heapq.nsmallest(ROWS, ((example_id, 0) for example_id in examples), key=order)


def choose(queues: Iterable[Sequence[Place]]) -> list[Place]:
    """As many places as a page has rows for, from each queue in turn."""
    chosen: dict[Place, None] = {}
    for turn in zip_longest(*queues):
        for place in turn:
            if place is not None and len(chosen) < ROWS:
                chosen[place] = None
    return list(chosen)


def pairs_at(places: Sequence[Place], sides: Sequence[Iterable[Result]]) -> dict[Place, Pair]:
    """The results of one run, or of two side by side, at some places: as many, in this order, as a page has room for.

    They come as they lie in the runs.
    """
    wanted, pairs = set(places), dict[Place, Pair]()
    for side, results in enumerate(sides):
        for place, result in placed(results):
            if place in wanted:
                pairs.setdefault(place, [None] * len(sides))[side] = result
    room, met = ROOM, set[str]()
    for place in places:
        size = sum(size_of(result, met) for result in pairs[place] if result)
        if size > room:
            del pairs[place]
        else:
            room -= size
    return pairs


def size_of(result: Result, met: set[str]) -> int:
    """How many characters a result takes on a page, at most. Texts that were met before take next to nothing."""
    once = {text for text in (result.prompt[:LONGEST_TEXT], checks_of(result)) if text not in met}
    met |= once
    said = result.id, result.completion or "", str(result.expected_answer), spell(result.details.get("extracted"))
    texts = [*once, *(text[:LONGEST_TEXT] for text in said)]
    return 100 + sum(len(text) + 17 * len(WRITTEN_LONGER.findall(text)) for text in texts)


def checks_of(result: Result) -> str:
    """What the scorer said besides what the table shows, as JSON; left out where it is longer than any scorer's."""
    rest = {key: value for key, value in result.details.items() if key not in ("extracted", "expected", "code")}
    text = to_json(rest).decode()
    return text if len(text) <= LONGEST_TEXT else "{}"


def seen(text: str) -> str:
    """A text as the page shows it: nothing hidden, and cut if it is very long."""
    more = len(text) - LONGEST_TEXT
    return visible(text) if more <= 0 else f"{visible(text[:LONGEST_TEXT])} … ({more:,} characters more)"


def rows_of(
    pairs: Mapping[Place, Pair], names: Sequence[str], codes: Sequence[str], verdict: Paired | None
) -> dict[str, Any]:
    """The rows of the table, compact, for the page's script: texts that come often are numbered.

    In a comparison a row's outcome is 0 where its example's rate went up, 1 where it went down, else 2; in one run it
    is 0 for a pass, else 1. Whole numbers travel as text, because a script rounds the large ones.
    """
    prompts, checks = dict[str, int](), dict[str, int]()  # the number of each text, in the order they come
    outcome_of = dict.fromkeys(verdict.wins, 0) | dict.fromkeys(verdict.losses, 1) if verdict else {}

    def side(result: Result | None) -> list[Any] | None:
        if result is None:
            return None
        text = None if result.completion is None else seen(result.completion)
        extracted, number = spell(result.details.get("extracted")), checks.setdefault(checks_of(result), len(checks))
        cells = [str(result.sample), text, f"{result.reward:g}", codes.index(code_of(result)), seen(extracted), number]
        unusual = unusual_characters((result.completion or "")[:LONGEST_TEXT])[:5]
        return [*cells, "; ".join(unusual)] if unusual else cells

    rows = []
    for (example_id, _), pair in pairs.items():
        result = next(result for result in pair if result is not None)
        outcome = outcome_of.get(example_id, 2) if verdict else int(bool(result.code))
        prompt = prompts.setdefault(seen(result.prompt), len(prompts))
        rows.append([seen(example_id), prompt, str(result.expected_answer), outcome, *map(side, pair)])
    return {
        "names": list(names),
        "codes": list(codes),
        "meanings": [MEANINGS[code] for code in codes],
        "outcomes": list(verdict.words) if verdict else [],
        "prompts": list(prompts),
        "checks": list(checks),
        "rows": rows,
    }
