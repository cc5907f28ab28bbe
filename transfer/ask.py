"""Ask a model for every prompt of a data set: any OpenAI-compatible endpoint, or a model folder on this machine.

    python -m transfer.ask --dataset data/datasets/math_dev.jsonl --out answers.jsonl \\
        --base-url http://127.0.0.1:11434/v1 --model my-model --temperature 0.7 --max-new-tokens 512 --view last_line

Each answer is on disk, in `answers.jsonl.asked`, before the next is: a run that is stopped or killed goes on when the
same command is typed again, and an answer that is there is never asked for again. When all is answered, the completions
and how they were sampled are written whole. A request that fails for good stays in them, with its reason.
"""

import datetime
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import Completion, Dataset, Sidecar, load_dataset, sidecar_path
from course.core.display import console, progress, table, typed
from course.core.files import InputError, sha256, to_json_lines, to_pretty_json, write_whole
from course.core.runs import outside_of_runs
from course.core.scoring import CUT_OFF
from course.datasets.describe import text_of
from transfer.clients import Answer, Client, Request, is_text
from transfer.clients.journal import Journal
from transfer.clients.options import Asking, client_of, sampling_of
from transfer.views import NAMES, seen

TEXT_VIEWS = tuple(name for name in NAMES if name != "chat_message")  # that one reads messages, and here are texts
REASONS = 3  # shown of what failed


@dataclass(frozen=True, kw_only=True)
class Settings(Asking):
    dataset: Path = option(help="the examples whose prompts are asked (JSONL)")
    out: Path = option(help="the completions file to write (JSONL)")
    view: str = option("whole", f"the part of an answer that is scored: {', '.join(TEXT_VIEWS)}", choices=TEXT_VIEWS)
    again: bool = option(False, "ask again for what failed")

    def check(self) -> None:
        super().check()
        if not self.out.name or self.out.is_dir():
            raise InputError("--out", f"a file to write, not the folder {self.out}")
        outside_of_runs(self.out)
        if self.dataset.resolve() in {path.resolve() for path in (self.out, journal_path(self.out))}:
            raise InputError("--out", "this is the data set itself, which would be lost")


@dataclass(frozen=True)
class Findings:
    """The answers, in the order of the data set, and how many requests the command sent for."""

    answers: list[Answer]
    requested: int


def journal_path(out: Path) -> Path:
    """Where answers are kept as they come. (The name does not end in .jsonl: these are no completions.)"""
    return out.with_name(f"{out.name}.asked")


def requests_of(dataset: Dataset, n: int) -> Iterator[Request]:
    """Every sample of every prompt, in the order of the data set. Raises InputError."""
    for example in dataset.examples.values():
        if not is_text(example["id"] + example["prompt"]):
            raise InputError(
                dataset.path, f"{example['id']!r} holds half a character (a surrogate), and cannot be sent"
            )
        yield from (Request(example["id"], sample, example["prompt"]) for sample in range(n))


def ask(client: Client, requests: list[Request], journal: Journal, again: bool) -> int:
    """Ask for what has no answer yet. Returns how many that was. Raises InputError, KeyboardInterrupt."""
    has_one = journal.has_text if again else journal.answers.__contains__
    pending = [request for request in requests if not has_one(request.key)]
    begun = any(map(journal.has_text, journal.answers))
    done = len(requests) - len(pending)
    try:
        with progress("asking", len(requests)) as show:

            def record(answer: Answer) -> None:
                nonlocal done
                journal.record(answer)
                done += 1
                show(done)

            show(done)
            if pending:
                client.answer(pending, record, begun)
    except KeyboardInterrupt:
        where = f"{done} of {len(requests)} requests are done"
        raise KeyboardInterrupt(f"stopped: {where}, and the same command goes on from there") from None
    return len(pending)


def completion_of(answer: Answer, view: str) -> Completion:
    """What the scorer is handed of an answer, or why there is nothing."""
    how: dict[str, Any] = {"finish_reason": answer.finish_reason}
    how["metadata"] = {} if answer.reasoning is None else {"reasoning": answer.reasoning}
    if answer.content is None:
        return Completion(answer.id, None, answer.sample, answer.error, **how)
    return seen(view, answer.id, answer.sample, answer.content, **how)


def run(settings: Settings) -> Findings:
    """Ask, and write the completions and their sidecar. Raises InputError."""
    dataset, sampling = load_dataset(settings.dataset), sampling_of(settings)
    system = None if settings.system_prompt is None else text_of(settings.system_prompt)
    requests = list(requests_of(dataset, settings.n))
    client = client_of(settings, sampling, system)
    about, sampling.request = client.about, client.about.request
    if about.note:
        console().print(about.note)
    who = {"policy": about.policy, "policy_sha256": about.policy_sha256, "tokenizer_sha256": about.tokenizer_sha256}
    asked: dict[str, Any] = {"prompts_sha256": dataset.prompts_sha256, "system_prompt": system}
    journal = Journal(journal_path(settings.out), {**who, **asked, **msgspec.structs.asdict(sampling)})
    try:
        requested = ask(client, requests, journal, settings.again)
        answers = [journal.answers[request.key] for request in requests]
        data = to_json_lines(completion_of(answer, NAMES[settings.view]) for answer in answers)
        made = Sidecar(
            **who,
            **asked,
            sampling=sampling,
            completions_sha256=sha256(data),
            command=" ".join(["python -m transfer.ask", *sys.argv[1:]]),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            versions=about.versions,
            view=NAMES[settings.view],
        )
        write_whole(settings.out, data)
        write_whole(sidecar_path(settings.out), to_pretty_json(made))
    finally:
        journal.close()
    return Findings(answers, requested)


def print_report(settings: Settings, findings: Findings) -> None:
    """What was asked and answered, and what to type next."""
    answers, out = findings.answers, console()
    failed = [answer for answer in answers if answer.error is not None]
    cut_off = sum((answer.finish_reason or "").lower() in CUT_OFF for answer in answers)
    retried = sum(answer.attempts > 1 for answer in answers)
    rows = table(">asked", ">of them now", ">answered", ">failed", ">retried", ">cut off")
    rows.add_row(
        *map(str, (len(answers), findings.requested, len(answers) - len(failed), len(failed), retried, cut_off))
    )
    out.print(rows)
    reasons = list(dict.fromkeys(str(answer.error) for answer in failed))
    for reason in reasons[:REASONS]:
        out.print(f"failed: {reason}")
    if failed:
        more = f", and {len(reasons) - REASONS} reasons more" if len(reasons) > REASONS else ""
        out.print(f"{len(failed)} failed{more}; the same command with --again asks for them once more.")
    words = f"--dataset {typed(settings.dataset)} --completions {typed(settings.out)}"
    out.print(f"Next: python -m course.eval {words}")


def main() -> int:
    settings = parse("transfer.ask", "Ask a model for every prompt of a data set.", Settings)
    print_report(settings, run(settings))
    return DONE


if __name__ == "__main__":
    run_command(main)
