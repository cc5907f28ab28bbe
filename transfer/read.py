"""Read the logs of other tools: a data set, and completions with their sidecar, come out.

    python -m transfer.read samples_gsm8k_2026-12-01T03-35-17.jsonl --out imported --view last_line

lm-evaluation-harness, Inspect, OpenAI's Batch API, TRL, verl, GSM8K's files, and any table (JSONL, JSON, CSV, parquet),
packed by gzip or Zstandard or not. Which tool it was is seen in the first row, and said. Nothing is guessed: a row
that is not as it should be is refused and listed, and every row is either used or refused.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import load_dataset
from course.core.display import progress
from course.core.files import InputError, to_json_lines
from transfer.formats.core.agreement import Agreement, compare
from transfer.formats.core.answers import Fields
from transfer.formats.core.assemble import Assembly
from transfer.formats.core.logs import FORMATS, Log, read_log
from transfer.formats.core.report import Findings, print_report
from transfer.formats.core.written import (
    COMPLETIONS,
    KNOBS,
    new_folder,
    put,
    slug,
    unused,
    write_completions,
    write_dataset,
)
from transfer.views import NAMES


@dataclass(frozen=True, kw_only=True)
class Settings:
    logs: tuple[Path, ...] = option(help="the logs", positional=True, metavar="LOG")
    out: Path = option(help="a new folder for what is made of them")
    format: str | None = option(None, "which tool wrote them (else seen in the first row)", choices=tuple(FORMATS))
    view: str = option("whole", "which part of a text the scorer is handed", choices=tuple(NAMES))
    dataset: Path | None = option(None, "the examples (JSONL), where the log lacks prompts or expected answers")
    policy: tuple[str, ...] = option((), "the models' names, in the order in which they come in the logs")
    name: str | None = option(None, "how the data set's file is named (else after the log)")
    commas: bool = option(False, "read the expected answer 70,000 as 70000")
    dollars: bool = option(False, "read the expected answer $18 as 18")
    samples: int | None = option(None, "answers asked for at a time, in a log of training", at_least=1, at_most=10_000)
    id_field: str | None = option(None, "the column of the id")
    prompt_field: str | None = option(None, "the column of the prompt")
    answer_field: str | None = option(None, "the column of the expected answer")
    completion_field: str | None = option(None, "the column of the completion")
    sample_field: str | None = option(None, "the column of the sample's number")
    model_field: str | None = option(None, "the column of the model's name")
    verdict_field: str | None = option(None, "the column of the tool's own verdict")
    temperature: float | None = option(None, "how it was sampled, where the log does not say", at_least=0)
    top_p: float | None = option(None, "likewise", above=0, at_most=1)
    max_new_tokens: int | None = option(None, "likewise", at_least=1)
    seed: int | None = option(None, "likewise")

    def fields(self) -> Fields:
        names = ("id", "prompt", "answer", "completion", "sample", "model", "verdict")
        return Fields(**{name: getattr(self, f"{name}_field") for name in names})


def run(settings: Settings) -> Findings:
    """Read the logs and write the folder. Raises InputError."""
    fields = settings.fields()
    dataset = None if settings.dataset is None else load_dataset(settings.dataset)
    logs = []
    with progress("reading", len(settings.logs)) as show:
        for number, path in enumerate(settings.logs, start=1):
            logs.append(read_log(path, settings.format, fields))
            show(number)
    kinds = {log.format.training for log in logs}
    if len(kinds) > 1:
        raise InputError("LOG", "logs of training and of evaluation are read into folders of their own")
    made = Assembly(
        view=NAMES[settings.view],
        commas=settings.commas,
        dollars=settings.dollars,
        samples=settings.samples,
        dataset=dataset,
    )
    with progress("sorting", sum(len(log.found) for log in logs)) as show:
        made.read(logs, show)
    policies = list(settings.policy) or [model.name for model in made.models.values()]
    if len(policies) != len(made.models):
        found = ", ".join(model.name for model in made.models.values())
        raise InputError("--policy", f"{len(policies)} names for {len(made.models)} models: {found}")
    return write(settings, logs, made, policies)


def write(settings: Settings, logs: list[Log], made: Assembly, policies: list[str]) -> Findings:
    """Write the files, and score the completions: from the files, as Loop A will."""
    name = slug(settings.name or logs[0].about.name)
    stated = {knob: getattr(settings, knob) for knob in KNOBS if getattr(settings, knob) is not None}
    written, agreements, differ = [], list[Agreement](), list[dict[str, Any]]()
    used: set[str] = set()
    with new_folder(settings.out) as folder:
        data = folder / f"{name}.jsonl"
        write_dataset(made, data, logs[0].format.training)
        with progress("scoring", len(policies)) as show:
            for number, (model, policy) in enumerate(zip(made.models.values(), policies, strict=True), start=1):
                path = folder / COMPLETIONS / f"{unused(slug(policy), used)}.jsonl"
                write_completions(made, model, policy, stated, path, data)
                agreed, differing, summary = compare(data, path, policy)
                agreements += agreed
                differ += differing
                written.append((settings.out / COMPLETIONS / path.name, policy, summary))
                show(number)
        many = Counter(one["verdict"] for one in differ)
        differ.sort(key=lambda one: many[one["verdict"]])  # the verdict that is nearest to the scorer's comes first
        for file, rows in (("refused.jsonl", made.refused), ("differences.jsonl", differ)):
            if rows:
                put(folder / file, to_json_lines(rows))
    return Findings(logs, made, settings.out / data.name, written, agreements, differ)


def main() -> int:
    settings = parse("transfer.read", "Read the logs of other tools.", Settings)
    print_report(run(settings))
    return DONE


if __name__ == "__main__":
    run_command(main)
