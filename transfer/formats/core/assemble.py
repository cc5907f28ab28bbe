"""Answers become examples and completions. Every row is used whole, or refused with its reason.

What is refused for its expected answer leaves the data set for every model; what is refused for another reason is
one model's answer that is absent, which an evaluation counts as a failure.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from course.core.datasets import Completion, Dataset, ExampleRow
from course.core.files import InputError
from transfer.formats.core.answers import ABSENT, Answer, Asked, asked
from transfer.formats.core.gold import expected
from transfer.formats.core.logs import Log
from transfer.formats.core.parts import Model, Refused, Taken, plain
from transfer.views import seen


@dataclass(kw_only=True)
class Assembly:
    """What is made of some logs: `examples` by id, `models` in the order in which they spoke, and the `refused`."""

    view: str
    commas: bool = False
    dollars: bool = False
    samples: int | None = None  # of each prompt, in a log of training
    dataset: Dataset | None = None
    examples: dict[str, ExampleRow] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)  # of each example: where it was read first
    models: dict[Any, Model] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    integers: set[int] = field(default_factory=set)  # ids that were made text
    rows: int = 0
    used: int = 0
    by_prompt: dict[str, list[str]] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)  # id -> where its expected answer was refused
    asked_again: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def read(self, logs: list[Log], show: Callable[[int], object]) -> None:
        """Use or refuse every row of some logs; `show` is told how many. Raises InputError where none can be used."""
        for key, example in (self.dataset.examples if self.dataset else {}).items():
            self.by_prompt.setdefault(example["prompt"], []).append(key)
        taken: list[tuple[Log, int, list[Taken]]] = []
        for log in logs:
            for line, row in log.found:
                self.rows += 1
                if self.rows % 4096 == 0:
                    show(self.rows)
                try:
                    if isinstance(row, ValueError):
                        raise row
                    taken.append((log, line, [self.take(log, line, answer) for answer in row]))
                except ValueError as error:
                    self.refuse(log, line, error, row)
        steps = {part.answer.metadata.get("step") for _, _, parts in taken for part in parts}
        for log, line, parts in taken:
            try:
                self.use(log, line, parts, len(steps) > 1)
                self.used += 1
            except ValueError as error:
                self.refuse(log, line, error, [part.answer for part in parts])
        if not self.used:
            first = self.refused[0]
            raise InputError(logs[0].path, f"none of {self.rows} rows can be used: {first.reason}", first.line)
        self.refused.sort(key=lambda row: row.line)

    def refuse(self, log: Log, line: int, reason: ValueError, row: list[Answer] | ValueError) -> None:
        key = row[0].id if isinstance(row, list) and row else None
        self.refused.append(Refused(log.file, line, " ".join(str(reason).split()), None if key is None else str(key)))

    def take(self, log: Log, line: int, answer: Answer) -> Taken:
        """The example of an answer, and its expected answer. Raises ValueError."""
        prompt = Asked("", None) if answer.prompt is None else asked(answer.prompt)
        key = self.id_of(answer, prompt)
        gold = answer.gold
        if self.dataset is not None:
            if key not in self.dataset.examples:
                raise ValueError(f"the id {key!r} is not in {self.dataset.path.name}")
            truth = self.dataset.examples[key]["expected_answer"]
            told = truth if gold is ABSENT else expected(gold, self.commas, self.dollars)
            if told != truth:
                raise ValueError(f"the log expects {told}, and {self.dataset.path.name} {truth}")
            return Taken(key, answer, prompt, truth)
        if gold is ABSENT:
            raise ValueError("the log holds no expected answer: give the data set with --dataset, or --answer-field")
        if not prompt.text:
            raise ValueError("the log holds no prompt: give the data set with --dataset, or --prompt-field")
        try:
            return Taken(key, answer, prompt, expected(gold, self.commas, self.dollars))
        except ValueError:
            self.bad.setdefault(key, f"{log.file}, line {line}")
            raise

    def id_of(self, answer: Answer, prompt: Asked) -> str:
        """The id of an answer's example, by its prompt where the log has no ids. Raises ValueError."""
        if isinstance(answer.id, str | int) and not isinstance(answer.id, bool) and answer.id != "":
            if isinstance(answer.id, int):
                self.integers.add(answer.id)
            return str(answer.id)
        if answer.id is not None:
            raise ValueError(f"an id must be a text or an integer, not {answer.id!r:.60}")
        if not prompt.text:
            raise ValueError("neither an id nor a prompt")
        if self.dataset is None:
            self.by_prompt.setdefault(prompt.text, [f"prompt-{len(self.by_prompt) + 1}"])
        keys = self.by_prompt.get(prompt.text, [])
        if len(keys) != 1:
            many = f"{len(keys)} examples" if keys else "no example"
            raise ValueError(f"no id, and its prompt is that of {many} of the data set: {prompt.text[:60]!r}")
        return keys[0]

    def use(self, log: Log, line: int, row: list[Taken], several_steps: bool) -> None:
        """Make completions of a row's answers, and the examples that are new. Raises ValueError."""
        made: list[tuple[str, ExampleRow, Model | None, Completion | None]] = []
        for part in row:
            key, answer = part.id, part.answer
            if key in self.bad:
                raise ValueError(f"the example's expected answer is refused in {self.bad[key]}")
            if log.format.training:
                key, answer = self.in_training(part, several_steps)
            example = self.example_of(log, line, key, part)
            if answer.said is ABSENT:
                if key in self.examples:
                    raise ValueError(f"the id {key!r} comes twice")
                made.append((key, example, None, None))
            else:
                model = self.model_of(log, answer)
                made.append((key, example, model, self.completion(log, line, key, answer, model, part)))
        places = [(key, id(model), said.sample) for key, _, model, said in made if said is not None]
        if len(set(places)) < len(places):
            raise ValueError("the row answers the same sample twice")
        for (key, example, whose, said), part in zip(made, row, strict=True):
            self.examples.setdefault(key, example)
            if whose is not None and said is not None:
                whose.completions[key, said.sample] = said
                whose.systems.add(part.prompt.system)

    def in_training(self, part: Taken, several_steps: bool) -> tuple[str, Answer]:
        """Where a training asks the same prompt again, in another step or batch, that is another example."""
        step = part.answer.metadata["step"]
        count = self.asked_again[part.id, step]
        self.asked_again[part.id, step] += 1
        group, sample = divmod(count, self.samples) if self.samples else (0, count)
        key = part.id + (f"@{step}" if several_steps else "") + (f"/{group + 1}" if group else "")
        return key, msgspec.structs.replace(part.answer, sample=sample)

    def example_of(self, log: Log, line: int, key: str, part: Taken) -> ExampleRow:
        """The example, which must be the same wherever it comes. Raises ValueError."""
        if self.dataset is not None:
            known = self.dataset.examples[part.id]
            if part.prompt.text not in ("", known["prompt"]):
                self.notes["prompts differ from the data set's: the log's are kept in the metadata"] += 1
            return ExampleRow(key, known["prompt"], part.expected, known["metadata"])
        if key not in self.examples:
            self.origins[key] = f"line {line} of {log.file}"
        gold = part.answer.gold
        written = {} if str(gold) == str(part.expected) else {"expected_answer_as_written": gold}
        made = ExampleRow(key, part.prompt.text, part.expected, plain({**part.answer.example, **written}))
        there = self.examples.get(key, made)
        if (there.prompt, there.expected_answer) != (made.prompt, made.expected_answer):
            reason = f"the id {key!r} has another prompt or expected answer in {self.origins[key]}"
            raise ValueError(f"{reason}: different tasks are read one by one")
        return there

    def model_of(self, log: Log, answer: Answer) -> Model:
        """Whose answer it is: the same name with other settings is another model."""
        name = answer.model or log.about.model
        settings = (log.about.temperature, log.about.top_p, log.about.max_new_tokens, log.about.seed, log.about.samples)
        key = (name, log.format.tool, settings, repr(log.about.request))
        return self.models.setdefault(key, Model(name, log.about, log.format.tool))

    def completion(self, log: Log, line: int, key: str, answer: Answer, model: Model, part: Taken) -> Completion:
        """The answer as the view hands it on. Raises ValueError if it is there already."""
        where = {"tool": log.format.tool, "file": log.file, "line": line}
        known = self.dataset.examples[part.id]["prompt"] if self.dataset else None
        other = {"prompt": part.prompt.text} if known is not None and part.prompt.text not in ("", known) else {}
        metadata = plain({**answer.metadata, **other, "verdicts": answer.verdicts, "from": where})
        sample = answer.sample or 0
        if answer.said is None:
            return self.once(log, model, Completion(key, None, sample, error=answer.error, metadata=metadata))
        made = seen(self.view, key, sample, plain(answer.said), finish_reason=answer.finish_reason, metadata=metadata)
        return self.once(log, model, made)

    def once(self, log: Log, model: Model, made: Completion) -> Completion:
        """Raises ValueError for an answer that is there already, unless it only brings further verdicts."""
        there = model.completions.get((made.id, made.sample))
        if there is None:
            return made
        before, new = there.metadata["verdicts"], made.metadata["verdicts"]
        again = log.format.merges and there.completion == made.completion and not before.keys() & new.keys()
        if not again or there.metadata["from"]["file"] != log.file:
            place = f"line {there.metadata['from']['line']} of {there.metadata['from']['file']}"
            raise ValueError(f"the id {made.id!r}, sample {made.sample}, is answered already in {place}")
        self.notes["rows repeat an answer under another filter: their verdicts are kept with it"] += 1
        return msgspec.structs.replace(there, metadata={**there.metadata, "verdicts": {**before, **new}})
