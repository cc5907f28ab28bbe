"""Select: best of N, on the frozen samples of π0. The choice gets better; the policy stays what it was."""

import marimo

app = marimo.App(width="medium", app_title="Select")

with app.setup:
    from functools import partial

    import marimo as mo

    from course import selection_demo
    from course.core import stats
    from course.core.display import percent
    from course.core.files import InputError
    from course.core.manifest import SelectionRecord
    from course.core.measurement import Measurement
    from course.core.paths import DEV, PACK
    from course.core.scoring import SCORERS, STRICT
    from course.core.selection import choose, curve_over_n, lesson, select
    from explore import show

    def best(samples):
        """The samples with the highest reward by the selecting rubric."""
        highest = max(sample.reward for sample in samples)
        return [sample for sample in samples if sample.reward == highest]

    RULES = {
        "your pick_best": selection_demo.pick_best,
        "the first of the best": lambda samples: best(samples)[0],
        "the last of the best": lambda samples: best(samples)[-1],
        "the shortest of the best": lambda samples: min(best(samples), key=lambda sample: len(sample.completion)),
        "the worst": lambda samples: min(samples, key=lambda sample: sample.reward),
    }


@app.cell(hide_code=True)
def _():
    show.heading(
        "selection",
        """
    π0 answered every dev prompt eight times. Of the first N samples a rule picks one: it sees what the *selecting*
    rubric pays, and is graded by the strict scorer. **What does N = 8 change, and what does it leave alone?**
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    n = show.slider("Samples to choose from, N", 1, 8, value=8)
    rule = mo.ui.dropdown(list(RULES), value=next(iter(RULES)), label="Rule")
    select_with = mo.ui.dropdown(list(SCORERS), value=STRICT, label="Selecting rubric")
    seed = mo.ui.number(0, 9_999, value=0, label="Seed of the control")
    show.knobs(n, rule, select_with, seed)
    return n, rule, seed, select_with


@app.cell(hide_code=True)
def _(n, rule, seed, select_with):
    _how = SelectionRecord(rule=rule.value, n=n.value, select_with=select_with.value)
    try:
        chosen = select(
            Measurement(DEV, PACK), lambda _, samples: RULES[rule.value](samples), _how, int(seed.value or 0)
        )
    except InputError as error:  # your pick_best may do anything
        mo.stop(True, show.lines(error))
    _numbers = chosen.numbers
    _own = rule.value == next(iter(RULES))  # the lesson is about pick_best
    _lesson = lesson(chosen).replace("--select-with", "the selecting rubric") if _own else ""
    _at = _numbers["curve"][n.value - 1]
    show.stack(
        show.facts(
            N_is_1_the_first_sample=f"{_numbers['mean_reward_first']:.3f}",
            chosen=f"{chosen.chosen['mean_reward']:.3f}",
            picked_at_random=f"{_numbers['mean_reward_random']:.3f}",
        ),
        show.facts(
            **{
                "pass@1, the policy": percent(_numbers["pass_at_1"]),
                f"pass@{n.value}, at least one right": percent(_at["pass_at_k"]),
                f"pass^{n.value}, all right": percent(_at["pass_hat_k"]),
                "if all prompts were equally hard": percent(_at["equal_prompts"]),
            }
        ),
        show.picture(
            partial(selection_demo.draw, chosen),
            "pass@k rises and pass^k falls, from one policy: the flat line is its pass@1. The gap to the grey line "
            "comes from prompts that are nearly never right.",
            show.table(
                (">k", ">pass@k", ">1-(1-p)^k", ">pass^k"),
                [
                    (row["k"], *(percent(row[name]) for name in ("pass_at_k", "equal_prompts", "pass_hat_k")))
                    for row in _numbers["curve"]
                ],
            ),
        ),
        mo.md(f"{_lesson} For {percent(_numbers['never_right'])} of the prompts none of the {n.value} is right."),
        mo.md(f"pass@{n.value} is estimated from all 8 samples; chosen was from the first {n.value}."),
    )
    return (chosen,)


@app.cell(hide_code=True)
def _(chosen):
    prompts = mo.ui.table(
        [
            {
                "id": choice["id"],
                "prompt": choice["prompt"],
                "right": f"{sum(choice['rewards']):g} of {len(choice['rewards'])}",
                "chosen": "right" if choice["reward"] else "wrong",
            }
            for choice in chosen.choices
        ],
        selection="single",
        initial_selection=[0],
        page_size=8,
        show_column_summaries=False,
        show_download=False,
        label="Click a prompt to see its samples",
    )
    prompts
    return (prompts,)


@app.cell(hide_code=True)
def _(chosen, prompts):
    mo.stop(not prompts.value)
    _choice = next(choice for choice in chosen.choices if choice["id"] == prompts.value[0]["id"])
    _texts = {row.sample: row.completion for row in Measurement(DEV, PACK) if row.id == _choice["id"]}
    _rows = [
        (sample, "chosen" if sample == _choice["chosen"] else "", f"{reward:g}", code or "it passes", _texts[sample])
        for sample, (reward, code) in enumerate(zip(_choice["rewards"], _choice["codes"], strict=True))
    ]
    show.table((">sample", "", ">strict reward", "code", "completion"), _rows, f"{_choice['id']}: {_choice['prompt']}")
    return


@app.cell(hide_code=True)
def _(n, seed, select_with):
    _settings = selection_demo.Settings(n=n.value, select_with=select_with.value, seed=int(seed.value or 0))
    _functions = selection_demo.pick_best, choose, curve_over_n, stats.pass_at_k
    show.behind(show.command("course.selection_demo", _settings), *_functions)
    return


if __name__ == "__main__":
    app.run()
