"""Measure: type a completion, and see what the scorer, the tokens and the weak rubrics make of it."""

import marimo

app = marimo.App(width="medium", app_title="Measure")

with app.setup:
    import marimo as mo

    from course import token_inspect
    from course.core.datasets import load_dataset
    from course.core.display import typed as in_terminal
    from course.core.display import unusual_characters
    from course.core.files import InputError
    from course.core.paths import DEV
    from course.rubrics import RUBRICS
    from course.score import CODES, diagnose, parse, score, trim
    from explore import show

    SHOWN = 300  # characters of a completion
    HIDDEN = {
        "zero-width space": "\u200b",
        "no-break space": "\u00a0",
        "soft hyphen": "\u00ad",
        "right-to-left override": "\u202e",
        "newline": "\n",
        "tab": "\t",
        "full-width 3": "\uff13",
    }
    EXAMPLES = {
        example["prompt"]: example
        for example in (token_inspect.EXAMPLE, *list(load_dataset(DEV).examples.values())[:8])
    }


@app.cell(hide_code=True)
def _():
    show.heading(
        "measure",
        """
    The scorer reads the whole completion, and pays for one form only. Change a letter; put in a character that nobody
    sees. **Predict the reward before you look.**
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    get_text, set_text = mo.state("Final: 323")
    asked = mo.ui.dropdown(list(EXAMPLES), value=next(iter(EXAMPLES)), label="The prompt", full_width=True)
    return asked, get_text, set_text


@app.cell(hide_code=True)
def _(get_text, set_text):
    typed = mo.ui.text_area(
        value=get_text(), on_change=set_text, label="The completion", rows=2, debounce=200, full_width=True
    )
    return (typed,)


@app.cell(hide_code=True)
def _(get_text, set_text):
    def _put(character):
        return lambda _: set_text(get_text() + character)

    hidden = [mo.ui.button(label=name, on_click=_put(character)) for name, character in HIDDEN.items()]
    return (hidden,)


@app.cell(hide_code=True)
def _(asked, hidden, typed):
    show.stack(asked, typed, mo.md("Put at the end what hides, or looks alike:"), show.knobs(*hidden))
    return


@app.cell(hide_code=True)
def _(asked, get_text):
    example, completion = EXAMPLES[asked.value], get_text()
    _found = score(example, completion)
    _details = _found["details"]
    _code = _details["code"]
    _more = f" … {len(completion):,} characters" if len(completion) > SHOWN else ""
    _checks = [(name, "yes" if passed else "no") for name, passed in _details["checks"].items()]
    show.stack(
        show.facts(
            reward=f"{_found['reward']:g}",
            code=_code or "none: it passes",
            extracted=_details["extracted"],
            expected=_details["expected"],
        ),
        mo.Html(f"<p>The scorer sees <code class='said'>{show.text(completion[:SHOWN])}</code>{_more}</p>"),
        show.lines(*unusual_characters(completion)),
        mo.md(f"It fails: {CODES[_code]}." if _code else "It passes: the whole of it is the line that was asked for."),
        show.table(("check", "passed"), _checks),
    )
    return completion, example


@app.cell(hide_code=True)
def _(completion, example):
    _rows = [
        (rubric.name, f"{rubric.score(example, completion)['reward']:g}", rubric.reason) for rubric in RUBRICS.values()
    ]
    show.stack(
        mo.md("## What seven weak rubrics would pay for it"),
        mo.md("Can you write a text that one of them pays and nobody wants? That is milestone 5."),
        show.table(("rubric", "it pays", "why someone would write it"), _rows, bar=1),
    )
    return


@app.cell(hide_code=True)
def _(completion, example):
    _settings = token_inspect.Settings(texts=(completion,))
    try:
        _settings.check()
    except InputError as error:
        mo.stop(True, show.lines(error))
    _findings = token_inspect.run(_settings, example)
    _row, *_ = _findings.rows
    _shown = [
        (name, len(tokens), show.plain("|".join(map(token_inspect.shown, tokens))))
        for name, tokens in _row["tokens"].items()
    ]
    _log = _findings.logprobs[0] if _findings.logprobs else []
    _tokens = [*map(token_inspect.shown, _row["tokens"]["π0, digits apart"]), "<end>"]
    _each = zip(map(show.plain, _tokens), [f"{p:.2f}" for p in _log], strict=True) if _log else []
    _sum = f"log π0(text | prompt) = **{sum(_log):.2f}**, the sum over its tokens: what is rare costs most."
    _none = "With PyTorch installed, the log-probability of each token under π0 stands here."
    show.stack(
        mo.md("## What it is to the policy: tokens"),
        show.table(("tokenizer", ">tokens", "boundaries (␣ is a space)"), _shown),
        show.table(("token", ">log p"), _each),
        mo.md(_sum if _log else _none),
    )
    return


@app.cell(hide_code=True)
def _(completion, example):
    _line = f"python -m course.try_one --rubrics -- {example['expected_answer']} {in_terminal(completion)}"
    show.behind(_line, score, trim, parse, diagnose)
    return


if __name__ == "__main__":
    app.run()
