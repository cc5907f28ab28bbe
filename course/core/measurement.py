"""Loop A as one object: every result of a completions file and, once all are read, what a run says of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from course.core.datasets import Completion, CompletionsFile, Examples, check_sidecar, load_dataset, load_sidecar
from course.core.display import progress
from course.core.experiment import RunOptions, SavedRun, save_experiment
from course.core.files import InputError
from course.core.golden import GoldenReport
from course.core.manifest import RESULTS, FileRecord, PolicyRecord
from course.core.runs import Result, RunWriter, result_line
from course.core.scoring import score_one
from course.core.stats import FAILED, MISSING, Tally
from course.score import SPEC_VERSION

REMEMBERED, FEW, SHORT = 50_000, 1_000, 200  # scores kept for when a completion comes again: how many, and how long


class Measurement:
    """The results of a completions file, to be read once: in file order, then every absent answer as a failure.

    How many answers were asked for of each example, the sidecar says, or `samples`; where neither does, only an
    example without any answer lacks one. Raises InputError for whatever cannot be read or does not belong together.
    """

    def __init__(self, dataset: Path, completions: Path, samples: int | None = None, with_sidecar: bool = True) -> None:
        self.paths = {"dataset": dataset, "completions": completions}
        self.dataset = load_dataset(dataset)
        self.completions = CompletionsFile(completions, self.dataset.examples)
        self.sidecar = load_sidecar(completions) if with_sidecar else None
        self.samples = samples
        self.asked = self.sidecar.sampling.samples_per_prompt if self.sidecar else samples
        if samples not in (None, self.asked):
            raise InputError("--samples", f"the sidecar says that {self.asked} were asked for, not {samples}")
        self.tally = Tally()

    def answers(self) -> Iterator[tuple[Completion, str | None]]:
        """(answer, None, or the code of an answer without text), the absent ones last."""
        for row in self.completions:
            yield row, FAILED if row.completion is None else None
        yield from self.absent()

    def absent(self) -> Iterator[tuple[Completion, str]]:
        """Every absent answer, once all others are read. Raises InputError, also for a sidecar of other completions."""
        check_sidecar(self.sidecar, self.completions, self.dataset)
        for example_id, sample in self.completions.absent(self.asked):
            yield Completion(example_id, None, sample), MISSING

    def __iter__(self) -> Iterator[Result]:
        return self.tallied(self.answers())

    def tallied(self, answers: Iterable[tuple[Completion, str | None]]) -> Iterator[Result]:
        """The results of some answers, counted."""
        for result in results_of(answers, self.dataset.examples):
            self.tally.add(result.id, result.reward, result.code, result.finish_reason)
            yield result

    def size(self) -> int:
        """How many bytes of completions there are to read, for a progress bar."""
        path = self.completions.lines.path
        return path.stat().st_size if path.is_file() else 0

    def lines(self) -> Iterator[bytes]:
        """`results.jsonl`, piece by piece."""
        return map(result_line, self)

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says of the results, once all are read."""
        named = {"dataset": self.dataset.path.name, "split": self.dataset.split, "spec_version": SPEC_VERSION}
        return {**named, **self.tally.summary()}

    def record(self) -> dict[str, Any]:
        """What was measured and how it was sampled: the fields of a manifest that a comparison reads."""
        dataset, lines, sidecar = self.dataset, self.completions.lines, self.sidecar
        policy = None
        if sidecar is not None:
            policy = PolicyRecord(
                name=sidecar.policy,
                sha256=sidecar.policy_sha256,
                tokenizer_sha256=sidecar.tokenizer_sha256,
                start=sidecar.learned_from,
            )
        return {
            "dataset": FileRecord(name=dataset.path.name, sha256=dataset.sha256, split=dataset.split),
            "prompts_sha256": dataset.prompts_sha256,
            "system_prompt": sidecar and sidecar.system_prompt,
            "view": sidecar and sidecar.view,
            "completions": FileRecord(name=lines.path.name, sha256=lines.sha256),
            "policy": policy,
            "sampling": sidecar and sidecar.sampling,
            "settings": {} if self.samples is None else {"samples": self.samples},
        }


def results_of(answers: Iterable[tuple[Completion, str | None]], examples: Examples) -> Iterator[Result]:
    """The results of some answers, each with the code of one without text, in their order."""
    known: dict[tuple[str, str], Result] = {}  # score() is pure, so the same answer need not be scored again
    room = REMEMBERED if len(examples) <= REMEMBERED else FEW  # of more, only near ones come again
    for row, no_answer in answers:
        text, example = row.completion, examples[row.id]
        if text is None or len(text) > SHORT:
            result = score_one(example, row.sample, text, no_answer)
        else:
            if len(known) >= room:
                known.clear()
            if (row.id, text) not in known:
                known[row.id, text] = score_one(example, row.sample, text)
            result = known[row.id, text]
        more = row.error is not None or row.finish_reason is not None or row.metadata
        if more or result.sample != row.sample:
            said = {"error": row.error, "finish_reason": row.finish_reason, "metadata": row.metadata}
            result = msgspec.structs.replace(result, sample=row.sample, **said)
        yield result


def write_run(measurement: Measurement, options: RunOptions, golden: GoldenReport) -> tuple[SavedRun, dict[str, Any]]:
    """Measure, and write a run of Loop A. Returns it and its summary. Raises InputError."""
    source, shown = measurement.completions.lines, 0
    with RunWriter(options.runs_dir) as run:
        with run.open(RESULTS) as results, progress(f"scoring {source.path.name}", measurement.size()) as show:
            for piece in measurement.lines():
                results.write(piece)
                if source.bytes_read != shown:
                    show(shown := source.bytes_read)
        summary = {**measurement.summary(), "golden": golden.counts()}
        saved = save_experiment(
            options,
            loop="A",
            knob="measurement",
            summary=summary,
            golden=golden,
            looks_at=measurement.dataset,
            paths=measurement.paths,
            writer=run,
            **measurement.record(),
        )
    return saved, summary
