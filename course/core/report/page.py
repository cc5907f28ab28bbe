"""One self-contained page of HTML: what may stand in it, and how it is put together. `course.report` fills it.

A run holds text that a model, or anyone, wrote. So nothing of it is ever taken for markup: Jinja escapes every
value, `visible` turns what cannot be seen into signs that can, the rows travel as JSON (`rows.py`) and are shown by
`textContent` alone, and a Content-Security-Policy admits one script and one style, by their hashes, and no
network at all. The page holds no time and no random number, so the same run gives the same bytes.
"""

import base64
import contextlib
import hashlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from course.core.display import visible

TEMPLATES = Path(__file__).parent / "templates"
PNG = b"\x89PNG\r\n\x1a\n"
LONGEST = 300  # characters of one value in a table; longer ones are cut, and say so


@dataclass(frozen=True)
class Table:
    """A small table of text. The first column names the rows."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


def spell(value: Any) -> str:
    """A value of a manifest or a summary in words: `temperature 1; top_p 0.9`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "; ".join(f"{key} {spell(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(f"({spell(part)})" if isinstance(part, list) else spell(part) for part in value)
    return str(value)


def short_cell(value: Any) -> str:
    """A value for a cell of a table: in words, and cut if it is long."""
    text = spell(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} … ({len(text) - LONGEST:,} characters more)"


def tables_of(summary: dict[str, Any]) -> list[Table]:
    """A summary as tables: single values first, then objects, those that are alike side by side, then lists of rows."""
    objects = {name: flat(value) for name, value in summary.items() if isinstance(value, dict) and value}
    lists = {name: value for name, value in summary.items() if is_rows(value)}
    single = [[name, short_cell(value)] for name, value in summary.items() if name not in objects and name not in lists]
    tables = [Table("Summary", ["name", "value"], single)] if single else []
    while objects:
        first = next(iter(objects.values()))
        alike = {name: row for name, row in objects.items() if len(first.keys() & row.keys()) * 2 >= len(first)}
        objects = {name: row for name, row in objects.items() if name not in alike}
        fields = list(dict.fromkeys(field for row in alike.values() for field in row))
        lists |= {f"{name}, {field}": row[field] for name, row in alike.items() for field in row if is_rows(row[field])}
        rows = [
            [field, *(short_cell(row.get(field)) for row in alike.values())]
            for field in fields
            if not any(is_rows(row.get(field)) for row in alike.values())
        ]
        tables.append(Table(", ".join(alike), ["name", *(alike if len(alike) > 1 else ["value"])], rows))
    for name, value in lists.items():
        fields = list(dict.fromkeys(field for row in value for field in row))
        tables.append(Table(name, fields, [[short_cell(row.get(field)) for field in fields] for row in value]))
    return tables


def flat(value: dict[str, Any]) -> dict[str, Any]:
    """An object with the objects inside it unfolded: `codes: missing_prefix`."""
    unfolded: dict[str, Any] = {}
    for name, part in value.items():
        inner = flat(part) if isinstance(part, dict) and part else {"": part}
        unfolded |= {f"{name}: {field}" if field else name: leaf for field, leaf in inner.items()}
    return unfolded


def is_rows(value: Any) -> bool:
    """Is it a list of objects, which makes a table?"""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def pictures_of(run: Path, files: Container[str]) -> list[tuple[Path, str]]:
    """The pictures among a run's own files, each as a `data:` address; what is no PNG, or was added, is left out."""
    pictures = []
    for path in sorted(path for path in run.glob("*.png") if path.name in files):
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if data.startswith(PNG):
                pictures.append((path, "data:image/png;base64," + base64.b64encode(data).decode()))
    return pictures


def render(template: str, **content: Any) -> str:
    """A page. Raises jinja2.UndefinedError if the template asks for what is not there."""
    script, style = ((TEMPLATES / f"report.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,  # Markup is no plain str
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    policy = (
        f"default-src 'none'; script-src '{source_hash(script)}'; style-src '{source_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return environment.get_template(template).render(
        **content, policy=policy, script=Markup(script), style=Markup(style)
    )


def source_hash(text: str) -> str:
    """The hash of an inline script or style, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
