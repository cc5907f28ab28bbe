"""Credit: a completion written in a few steps, paid only at the end; who gets the credit?"""

import marimo

app = marimo.App(width="medium", app_title="Credit")

with app.setup:
    from functools import partial

    import marimo as mo
    import numpy as np

    from course import toy_mdp
    from explore import show


@app.cell(hide_code=True)
def _():
    show.heading(
        "credit",
        f"""
    The answer to `{toy_mdp.EXAMPLE["prompt"]}` is written in a few steps, two choices each, and scored when it is
    finished. One learner credits a step with the *return*, all that is earned from there on; the other with what is
    earned *at once*. **What will the second one do at step one?**
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    horizon = show.slider("Horizon: steps", 2, 4, value=2)
    credit = mo.ui.radio(list(toy_mdp.CREDITS), value="return", label="The log shows credit by", inline=True)
    episodes = show.slider("Episodes", 50, 800, 50, value=400)
    rate = show.slider("Learning rate", steps=[0.1, 0.2, 0.5, 1.0, 2.0], value=0.5)
    seed = mo.ui.number(0, 9_999, value=0, label="Seed")
    show.knobs(horizon, credit, episodes, rate, seed)
    return credit, episodes, horizon, rate, seed


@app.cell(hide_code=True)
def _(episodes, horizon, rate, seed):
    settings = toy_mdp.Settings(
        horizon=horizon.value, episodes=episodes.value, learning_rate=rate.value, seed=int(seed.value or 0)
    )
    findings = toy_mdp.run(settings)
    _title, _columns, _rows = toy_mdp.ends_of(findings)
    _median = {name: np.median(end.chance_right[:, -1]) for name, end in findings.learned.items()}
    show.stack(
        show.facts(**{f"chance of the reward, credit by {name} (median)": f"{p:.3f}" for name, p in _median.items()}),
        show.picture(
            partial(toy_mdp.draw, findings),
            "A thin line is a seed. By its return step one can learn, though nobody pays it; by its own reward not.",
            show.table(_columns, _rows, _title),
        ),
        show.lines(*toy_mdp.lessons(findings)),
    )
    return findings, settings


@app.cell(hide_code=True)
def _(credit, findings):
    _fields = ("reward", "return", "credit", "baseline", "advantage", "prob", "prob_after")
    show.stack(
        mo.md(f"## The log of the first seed: credit by {credit.value}"),
        show.table(
            (">episode", ">step", "text so far", "chosen", *(f">{name.replace('_', ' ')}" for name in _fields)),
            [
                (
                    row["episode"],
                    row["step"],
                    row["state"],
                    row["action"],
                    *(f"{row[name]:.3f}" for name in _fields),
                )
                for row in findings.learned[credit.value].log[: findings.settings.horizon * toy_mdp.SHOWN_EPISODES]
            ],
        ),
    )
    return


@app.cell(hide_code=True)
def _(settings):
    show.behind(show.command("course.toy_mdp", settings), toy_mdp.learn, toy_mdp.grow)
    return


if __name__ == "__main__":
    app.run()
