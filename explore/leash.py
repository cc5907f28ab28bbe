"""Leash: the best policy under a penalty on drift; beta, the rewards and the loophole are yours to choose."""

import marimo

app = marimo.App(width="medium", app_title="Leash")

with app.setup:
    from functools import partial

    import marimo as mo
    import numpy as np

    from course import kl_tradeoff_demo as demo
    from course.core.files import InputError
    from course.rubrics import RUBRICS
    from explore import show

    OWN = "your own"


@app.cell(hide_code=True)
def _():
    show.heading(
        "leash",
        f"""
    Eight completions of `{demo.EXAMPLE["prompt"]}` The reference policy has its habits; the reward is a weak rubric's,
    and the last completion is a loophole. The best policy under the leash is known in closed form,
    $\\pi^*(a) \\propto \\pi_0(a)\\,e^{{r(a)/\\beta}}$. **At which beta does the loophole win? Guess, then turn.**
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    _texts = enumerate(demo.TEXTS)
    beta = show.slider("Leash, beta", steps=sorted(demo.BETAS), value=0.1)
    rubric = mo.ui.dropdown([*RUBRICS, OWN], value=demo.RUBRIC, label="Rewards by")
    loophole = mo.ui.text(value=demo.TEXTS[demo.LOOPHOLE], label="The loophole", debounce=200, full_width=True)
    own = mo.ui.array(
        [
            show.slider(text[:30] if place < demo.LOOPHOLE else "the loophole", 0.0, 1.0, 0.05, value=float(not place))
            for place, text in _texts
        ]
    )
    show.stack(show.knobs(beta, rubric), loophole)
    return beta, loophole, own, rubric


@app.cell(hide_code=True)
def _(own, rubric):
    mo.stop(rubric.value != OWN)
    show.stack(mo.md("Your own rewards, from 0 to 1, of the eight completions:"), show.knobs(*own))
    return


@app.cell(hide_code=True)
def _(beta, loophole, own, rubric):
    _own = rubric.value == OWN
    settings = demo.Settings(
        loophole=loophole.value, rubric=None if _own else rubric.value, rewards=tuple(own.value) if _own else ()
    )
    try:
        settings.check()
    except InputError as error:
        mo.stop(True, show.lines(error))
    findings = demo.run(settings)
    _policy = demo.closed_form(demo.REFERENCE, findings.rewards, np.array([beta.value]))[0]
    _row = next(row for row in findings.sweep if row["beta"] == beta.value)
    _columns = zip(findings.texts, demo.REFERENCE, findings.rewards, findings.truth, _policy, strict=True)
    show.stack(
        show.facts(
            mean_reward=f"{_row['mean_reward']:.3f}",
            true_value=f"{_row['true_value']:.3f}",
            KL_in_nats=f"{_row['kl']:.3f}",
            loophole=f"{_row['loophole']:.3f}",
            learner_off_by=f"{_row['total_variation']:.0e}",
        ),
        show.table(
            ("completion", ">reference", ">reward", ">true value", "best policy"),
            [
                (demo.brief(text, 60), f"{p:.3f}", f"{reward:.3f}", f"{truth:g}", f"{best:.3f}")
                for text, p, reward, truth, best in _columns
            ],
            f"The best policy with beta {beta.value:g}",
            bar=4,
        ),
    )
    return findings, settings


@app.cell(hide_code=True)
def _(findings):
    _names = ("beta", "mean_reward", "kl", "true_value", "loophole")
    show.stack(
        show.picture(
            partial(demo.draw, findings),
            "Left: what reward costs in drift. Right: does the true value go the same way as the reward?",
            show.table(
                [f">{name.replace('_', ' ')}" for name in _names],
                [(f"{row['beta']:g}", *(f"{row[name]:.3f}" for name in _names[1:])) for row in findings.sweep],
            ),
        ),
        show.lines(*demo.lessons(findings)),
    )
    return


@app.cell(hide_code=True)
def _(settings):
    _functions = demo.closed_form, demo.kl, demo.leashed_rewards, demo.learn
    show.behind(show.command("course.kl_tradeoff_demo", settings), *_functions)
    return


if __name__ == "__main__":
    app.run()
