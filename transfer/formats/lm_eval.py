"""lm-evaluation-harness: `samples_<task>_<time>.jsonl`, and `results_<time>.json` beside it (--log_samples).

A document comes once for each filter, always with the same answers: the filters' metrics become verdicts of one
answer, `exact_match,strict` as the harness names them. Where a document was repeated, a metric is about all of its
answers together, so it is kept with the example and compared with no single answer.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from course.core.files import InputError, read_json
from transfer.formats.core.answers import About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row

NAMED = re.compile(r"samples_(.+)_([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9.-]+)")
KEPT = ("system_instruction", "chat_template_sha")
TOLD = {"temperature", "top_p", "max_gen_toks"}  # in fields of their own


def fits(row: Mapping[str, Any]) -> bool:
    return {"doc_id", "doc", "resps", "arguments"} <= row.keys()


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    doc, said = need(row, "doc"), need(row, "resps", list)
    texts = said[0] if len(said) == 1 and isinstance(said[0], list) else said
    if len(said) != 1 or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("no generated text, but log-likelihoods: only generate_until tasks have completions")
    if (fields.id or fields.answer) and not isinstance(doc, dict):
        raise ValueError("its doc is no object, so it has no fields")
    verdicts = {f"{name},{row.get('filter')}": row.get(name) for name in row.get("metrics", ())}
    alone = len(texts) == 1
    for sample, text in enumerate(texts):
        yield Answer(
            id=need(doc, fields.id) if fields.id else need(row, "doc_id"),
            prompt=need(doc, fields.prompt) if fields.prompt else request(row)["arg_0"],
            gold=need(doc, fields.answer) if fields.answer else need(row, "target"),
            said=text,
            sample=sample,
            verdicts=verdicts if alone else {},
            metadata={"doc_id": row["doc_id"]} if alone else {"doc_id": row["doc_id"], "verdict_of_all": verdicts},
        )


def request(row: Row) -> dict[str, Any]:
    """The first request of a document: `arg_0` is what was asked, `arg_1` how. Raises ValueError."""
    made: dict[str, Any] = need(need(row, "arguments", dict), "gen_args_0", dict)
    need(made, "arg_0", str)
    return made


def about(path: Path, row: Row) -> About:
    """The harness's settings. Raises InputError for a file of results that cannot be read."""
    found = NAMED.fullmatch(stem(path))
    results = read_results(path.with_name(f"results_{found[2]}.json")) if found else {}
    config, how = results.get("config") or {}, request(row).get("arg_1")
    how = how if isinstance(how, dict) else {}
    generation = {name: value for name, value in how.items() if name not in TOLD}
    model = results.get("model_name") or config.get("model") or path.absolute().parent.name
    config |= {name: results.get(name) for name in ("system_instruction", "chat_template_sha")}
    return About(
        name=found[1] if found else stem(path),
        model=str(model),
        temperature=how.get("temperature"),
        top_p=how.get("top_p"),
        max_new_tokens=how.get("max_gen_toks"),
        seed=config.get("torch_seed"),
        samples=len(row["resps"][0]) if isinstance(row["resps"][0], list) else None,
        request={"generation": generation, **{name: config[name] for name in KEPT if config.get(name) is not None}},
        versions={"lm_eval": str(results["lm_eval_version"])} if results.get("lm_eval_version") else {},
        warnings=[] if results else ["no results_*.json beside it: the model and its settings are not known"],
    )


def read_results(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(path, "the results of lm-evaluation-harness are expected")
    return found


FORMAT = Format(tool="lm_eval", fits=fits, answers=answers, about=about, merges=True)
