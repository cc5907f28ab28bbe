"""Credit: a completion written in a few steps, paid only at the end; who gets the credit?"""

import marimo

app = marimo.App(width="medium", app_title="Credit")

with app.setup:
    from functools import partial

    import marimo as mo
    import numpy as np

    from course import toy_mdp
    from explore import show

    SHOWN = 12  # rows of the log


@app.cell(hide_code=True)
def _():
    show.heading("credit")
    return


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    The answer to `{toy_mdp.EXAMPLE["prompt"]}` is written in a few steps, two choices each, and scored when it is
    finished. One learner credits a step with the *return*, all that is earned from there on; the other with what is
    earned *at once*. **What will the second one do at step one?**
    """)
    return


@app.cell(hide_code=True)
def _():
    horizon = mo.ui.slider(2, 4, value=2, label="Horizon: steps", show_value=True)
    credit = mo.ui.radio(list(toy_mdp.CREDITS), value="return", label="The log shows credit by", inline=True)
    episodes = mo.ui.slider(50, 800, 50, value=400, label="Episodes", show_value=True)
    rate = mo.ui.slider(steps=[0.1, 0.2, 0.5, 1.0, 2.0], value=0.5, label="Learning rate", show_value=True)
    seed = mo.ui.number(0, 9_999, value=0, label="Seed")
    show.knobs(horizon, credit, episodes, rate, seed)
    return credit, episodes, horizon, rate, seed


@app.cell(hide_code=True)
def _(episodes, horizon, rate, seed):
    settings = toy_mdp.Settings(
        horizon=horizon.value, episodes=episodes.value, learning_rate=rate.value, seed=seed.value
    )
    findings = toy_mdp.run(settings)
    _right, _names = toy_mdp.right_way(findings.tree)
    _rows = [
        (credit, *(f"{v.min():.3f} to {v.max():.3f}" for v in (*end.policy[:, _right, 0].T, end.chance_right[:, -1])))
        for credit, end in findings.learned.items()
    ]
    _median = {name: np.median(end.chance_right[:, -1]) for name, end in findings.learned.items()}
    mo.vstack([
        show.facts(**{f"chance of the reward, credit by {name} (median)": f"{p:.3f}" for name, p in _median.items()}),
        show.picture(
            partial(toy_mdp.draw, findings),
            "Every thin line is a seed. By its return step one learns though nobody pays it; by its immediate reward it "
            "never does.",
            show.table(
                ("credit by", *_names, ">chance of the reward"),
                _rows,
                f"After {settings.episodes} episodes, over {settings.seeds} seeds: lowest to highest",
            ),
        ),
        mo.Html("".join(f"<p>{show.text(sentence)}</p>" for sentence in toy_mdp.lessons(findings))),
    ])
    return findings, settings


@app.cell(hide_code=True)
def _(credit, findings):
    _fields = ("reward", "return", "credit", "baseline", "advantage", "prob", "prob_after")
    mo.vstack([
        mo.md(f"## The log of the first seed: credit by {credit.value}"),
        show.table(
            (">episode", ">step", "text so far", "chosen", *(f">{name.replace('_', ' ')}" for name in _fields)),
            [
                (row["episode"], row["step"], row["state"], row["action"], *(f"{row[name]:.3f}" for name in _fields))
                for row in findings.learned[credit.value].log[:SHOWN]
            ],
        ),
    ])
    return


@app.cell(hide_code=True)
def _(settings):
    _learning = f"--horizon {settings.horizon} --episodes {settings.episodes} --learning-rate {settings.learning_rate:g}"
    show.behind(f"python -m course.toy_mdp {_learning} --seed {settings.seed}", toy_mdp.learn, toy_mdp.grow)
    return


if __name__ == "__main__":
    app.run()
