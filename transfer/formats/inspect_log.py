"""Inspect: `.eval` and `.json` logs, through its own reader. Epochs become samples, scores become verdicts."""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from course.core.files import BOM, InputError
from transfer.formats.core import packed
from transfer.formats.core.answers import About, Answer, Fields, Format, need
from transfer.formats.core.rows import Row, Rows

PACKAGES = "pip install -r transfer/requirements-inspect.txt"
EVAL_KEY = re.compile(rb'"eval"\s*:\s*\{')
VERSION_KEY = re.compile(rb'\{\s*"version"\s*:')


def is_log(begin: bytes) -> bool:
    """Whether these are the first bytes of an Inspect log."""
    text = begin.removeprefix(BOM).lstrip()
    return begin.startswith(packed.ZIP) or bool(VERSION_KEY.match(text) and EVAL_KEY.search(text))


def fits(row: Mapping[str, Any]) -> bool:
    return {"epoch", "input", "target", "log"} <= row.keys()


def rows(path: Path) -> Rows:
    """The samples of a log, each with the log's header. Raises InputError."""
    try:
        from inspect_ai.log import read_eval_log
    except ModuleNotFoundError:
        raise InputError(path, f"it is a log of Inspect: {PACKAGES}") from None
    data = packed.whole(path)
    kind: Any = "eval" if data.startswith(packed.ZIP) else "json"
    try:
        log = read_eval_log(io.BytesIO(data), resolve_attachments=True, format=kind)
    except Exception as error:  # whatever its reader raises for a file that is broken
        raise InputError(path, f"Inspect's reader refuses it: {type(error).__name__} {str(error)[:200]}") from None
    if not log.samples:
        raise InputError(
            path, f"the log holds no samples (status {log.status}): --log-samples, and no error, are needed"
        )
    header = log.model_dump(mode="json", exclude={"samples", "reductions", "stats"})
    for number, sample in enumerate(log.samples, start=1):
        kept = sample.model_dump(mode="json", exclude={"events", "events_data", "store", "attachments", "timelines"})
        yield number, {**kept, "completion": sample.output.completion if sample.output.choices else None, "log": header}


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    target, output, scores = need(row, "target"), row["output"], row.get("scores") or {}
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    error = (row.get("error") or {}).get("message") or (row.get("limit") or {}).get("type") or output.get("error")
    said = None if row.get("error") else row["completion"]
    choices, metadata = output.get("choices") or [{}], row.get("metadata") or {}
    told = [{"role": m["role"], "content": m["content"]} for m in row["messages"] if m["role"] == "system"]
    prompt = row["input"]
    if isinstance(prompt, list):
        prompt = [{"role": message["role"], "content": message["content"]} for message in prompt]
    elif told:
        prompt = [*told, {"role": "user", "content": prompt}]
    yield Answer(
        id=need(metadata, fields.id) if fields.id else row["id"],
        prompt=prompt,
        gold=need(metadata, fields.answer) if fields.answer else target,
        said=said,
        error=None if said is not None else str(error or "Inspect kept no output"),
        sample=row["epoch"] - 1,
        finish_reason=choices[0].get("stop_reason"),
        verdicts={name: score.get("value") for name, score in scores.items()},
        example=metadata,
    )


def about(path: Path, row: Row) -> About:
    log, config = row["log"], row["log"]["plan"]["config"]
    spec, asked = log["eval"], row["log"]["eval"]["config"]
    status = log["status"]
    warnings = [] if status == "success" else [f"the log's status is {status}: what it had not reached is not there"]
    known = {"temperature", "top_p", "max_tokens", "seed"}
    return About(
        name=str(spec["task"]).rpartition("/")[2],
        model=spec["model"],
        temperature=config.get("temperature"),
        top_p=config.get("top_p"),
        max_new_tokens=config.get("max_tokens"),
        seed=config.get("seed"),
        samples=asked.get("epochs") or 1,
        request={name: value for name, value in config.items() if value is not None and name not in known},
        versions={name: str(version) for name, version in (spec.get("packages") or {}).items()},
        warnings=warnings,
    )


FORMAT = Format(tool="inspect", fits=fits, answers=answers, about=about, rows=rows)
