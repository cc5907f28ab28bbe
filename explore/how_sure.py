"""How sure? What a number of examples can tell, and what two rules make of luck."""

import marimo

app = marimo.App(width="medium", app_title="How sure?")

with app.setup:
    from functools import partial

    import marimo as mo

    from course import plan
    from course.core.display import percent
    from course.core.power import independent, power, rules
    from course.core.stats import NOISE_RULE_MARGIN, NOISE_RULE_SMALL, noise_rule, wilson
    from explore import show

    SIZES = (10, 20, 30, 50, 75, 99, 100, 150, 200, 300, 500, 1000, 2000, 5000)


@app.cell(hide_code=True)
def _():
    show.heading(
        "how_sure",
        """
    A policy is right with a *true rate* that nobody knows. You ask it n examples, change something, ask again, and see
    two rates. **How far apart may they be by luck alone?** Move the knobs, and guess first.
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    n = show.slider("Examples, n", steps=SIZES, value=200)
    rate = show.slider("True rate", 0.05, 0.95, 0.05, value=0.2)
    change = show.slider("True change, if there is one", 0.01, 0.3, 0.01, value=0.05)
    show.knobs(n, rate, change)
    return change, n, rate


@app.cell(hide_code=True)
def _(n, rate):
    _low, _high = wilson(rate.value, n.value)
    _luck = rules(n.value, *independent(rate.value, rate.value), apart=NOISE_RULE_MARGIN)
    _thumb = "does not apply" if _luck.noise_rule is None else percent(_luck.noise_rule)
    show.stack(
        mo.md("## Nothing changed: what luck does"),
        show.facts(
            **{
                f"95 % interval of a rate of {percent(rate.value)}": f"{percent(_low)} to {percent(_high)}",
                "two rates differ by 5 points or more": percent(_luck.apart),
            }
        ),
        show.table(
            ("rule", ">it calls luck real", "what it asks"),
            [
                ("the exact paired test", percent(_luck.exact), "p < 0.05, from wins and losses"),
                ("the noise rule", _thumb, f"more than 5 points, below {NOISE_RULE_SMALL} examples"),
            ],
        ),
        mo.md("The exact test keeps its promise of at most 5 % with any n; the rule of thumb made none."),
    )
    return


@app.cell(hide_code=True)
def _(change, n, rate):
    _after = min(rate.value + change.value, 1.0)
    _cut = " (no more is possible)" if rate.value + change.value > 1 else ""
    settings = plan.Settings(before=rate.value, after=_after, n=n.value)
    findings = plan.run(settings)
    _needed = {f"for a power of {100 * wanted:.0f} %": found for wanted, found in findings.needed.items()}
    show.stack(
        mo.md(f"## It changed from {percent(rate.value)} to {percent(_after)}{_cut}: is that found?"),
        show.facts(
            **{
                f"power of {n.value:,} examples": percent(findings.curve[n.value]),
                **{f"examples {name}": "too many" if many is None else f"{many:,}" for name, many in _needed.items()},
                f"{n.value:,} examples can show": "nothing"
                if findings.visible is None
                else f"{100 * findings.visible:.1f} points or more",
            }
        ),
        show.picture(
            partial(plan.draw, findings, n.value),
            "The square is what you have; the dots are what it takes to find the change 80 or 90 times in 100.",
            show.table((">examples", "power"), [(f"{m:,}", f"{findings.curve[m]:.3f}") for m in plan.SIZES], bar=1),
        ),
    )
    return (settings,)


@app.cell(hide_code=True)
def _(settings):
    show.behind(show.command("course.plan", settings), wilson, noise_rule, independent, power, rules)
    return


if __name__ == "__main__":
    app.run()
