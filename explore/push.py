"""Push: five completions, one update after another; predict each before you see it, or turn the knobs and run fast."""

import marimo

app = marimo.App(width="medium", app_title="Push")

with app.setup:
    from functools import partial

    import marimo as mo

    from course import bandit_train, policy_gradient_demo
    from course.core.bandit import BASELINES, learn, load_bandit, log_prob_gradient, take_step
    from course.core.files import InputError
    from course.core.paths import DEV, PACK
    from explore import show

    BANDIT = load_bandit(DEV, PACK, None)
    SLOW, FAST, WAITING = "step by step", "fast", "*The step is shown here when you have predicted it.*"
    SHOWN, LAST = ("reward", "baseline", "advantage", "prob", "prob_after"), 8  # of the log
    NOISE = """Of 20,000 batches of 8 each; only the seed turns it. Raise all rewards by 1, and no action is better than
    before, but without a baseline the noise grows. It is no law: nearly always right, *none* is quieter."""
    SEEN: set[tuple[object, ...]] = set()  # the settings whose steps were shown fast: there is nothing left to predict


@app.cell(hide_code=True)
def _():
    _words = f"""
    The policy is a choice among five completions of `{BANDIT.example["prompt"]}` They begin equally likely. Each step
    draws some, takes the baseline off the reward, and moves the probabilities by this advantage. **Say first what the
    probability of the drawn one will do**; your prediction is sealed before the step is shown.
    """
    show.heading("push", _words)
    return


@app.cell(hide_code=True)
def _():
    pace = mo.ui.radio([SLOW, FAST], value=SLOW, label="Pace", inline=True)
    baseline = mo.ui.dropdown(list(BASELINES), value="running", label="Baseline")
    rate = show.slider("Learning rate", steps=[0.1, 0.2, 0.5, 1.0, 2.0, 5.0], value=0.5)
    batch = show.slider("Samples for each step", 1, 16, value=1)
    steps = show.slider("Steps", 10, 200, 10, value=60)
    seed = mo.ui.number(0, 9_999, value=0, label="Seed")
    get_made, set_made = mo.state(list[dict[str, object]]())
    show.knobs(pace, baseline, rate, batch, steps, seed)
    return baseline, batch, get_made, pace, rate, seed, set_made, steps


@app.cell(hide_code=True)
def _(baseline, batch, get_made, pace, rate, seed, steps):
    key = (baseline.value, batch.value, rate.value, int(seed.value or 0))
    _how = dict(zip(("baseline", "batch", "learning_rate", "seed"), key, strict=True))
    settings = bandit_train.Settings(steps=steps.value, **_how)
    try:
        settings.check()
    except InputError as error:
        mo.stop(True, show.lines(str(error).replace("--batch", "Samples for each step")))
    log = learn(BANDIT, settings.steps, settings.learning_rate, settings.seed, settings.batch, settings.baseline)
    log = log[:: settings.batch]  # of a batch the first sample stands for the step
    made = get_made()
    revealed = [row for row in made if row["key"] == key]
    score = f"Predictions right: {sum(row['right'] for row in made)}/{len(made)}"
    if pace.value == FAST:
        SEEN.add(key)
    return key, log, made, revealed, score, settings


@app.cell(hide_code=True)
def _(key, log, made, pace, revealed, score, set_made, settings):
    mo.stop(pace.value == FAST, mo.md(score))
    mo.stop(key in SEEN or len(revealed) == len(log), mo.md(f"You have seen these steps; take another seed. {score}"))
    _step, _first = log[len(revealed)], " first" if settings.batch > 1 else ""

    def _predict(word):
        before = made[-1]["seal"] if made else ""
        return lambda _: set_made([*made, {**policy_gradient_demo.prediction(word, _step, before), "key": key}])

    buttons = [mo.ui.button(label=word, on_click=_predict(word)) for word in policy_gradient_demo.DIRECTIONS]
    _rows = [
        (number, f"{prob:.3f}", "drawn" if number == _step.action else "", action)
        for number, (action, prob) in enumerate(zip(BANDIT.actions, _step.probs, strict=True))
    ]
    show.stack(
        mo.md(f"## Step {_step.step}: action {_step.action} was drawn{_first}; the baseline is {_step.baseline:.3f}"),
        show.table(("action", "probability", "", "completion"), _rows, bar=1),
        show.knobs(mo.md("What will its probability do?"), *buttons, mo.md(score)),
    )
    return (buttons,)


@app.cell(hide_code=True)
def _(log, made, pace, revealed):
    mo.stop(pace.value == FAST or not revealed, mo.md("" if pace.value == FAST else WAITING))
    _row, _step = revealed[-1], log[len(revealed) - 1]
    _verdict = "right" if _row["right"] else "wrong"
    _columns = enumerate(zip(_step.gradient, _step.probs, _step.probs_after, strict=True))
    _rows = [(n, f"{g:+.3f}", f"{p:.3f}", f"{after:.3f}") for n, (g, p, after) in _columns]
    show.stack(
        mo.md(f"Step {_step.step}: you predicted **{_row['text']}**; it went **{_row['came']}**: {_verdict}."),
        mo.md(f"reward {_step.reward:g} - baseline {_step.baseline:.3f} = advantage **{_step.advantage:+.3f}**"),
        show.table(("action", ">gradient", ">before", "after"), _rows, bar=3),
        mo.md(f"Sealed before the step was shown: `{_row['seal'][:12]}`, prediction {len(made)}."),
    )
    return


@app.cell(hide_code=True)
def _(log, pace, revealed, settings):
    _log = log if pace.value == FAST else log[: len(revealed)]
    mo.stop(not _log)
    _columns = zip(BANDIT.rewards, _log[0].probs, _log[-1].probs_after, BANDIT.actions, strict=True)
    _ends = [(n, f"{r:g}", f"{p:.3f}", f"{after:.3f}", a) for n, (r, p, after, a) in enumerate(_columns)]
    _few, _named = (_log[:LAST], "The first steps") if pace.value == FAST else (_log[-LAST:], "The last steps")
    _rows = [(step.step, step.action, *(f"{value:.3f}" for value in step.row(SHOWN).values())) for step in _few]
    show.stack(
        show.picture(
            partial(policy_gradient_demo.draw, policy_gradient_demo.Findings(BANDIT, _log, settings.baseline, {})),
            "The right action (solid) takes probability from the others (dashed), in jumps: luck draws the samples.",
            show.table(
                (">action", ">reward", ">before", "after", "completion"), _ends, f"After {len(_log)} steps", bar=3
            ),
        ),
        show.table((">step", ">action", *(f">{name}" for name in SHOWN)), _rows, _named),
    )
    return


@app.cell(hide_code=True)
def _(seed):
    _rows = [
        (f"{row['chance_right']:.1f}", row["rewards"], *(f"{row[name]:.4f}" for name in BASELINES))
        for row in bandit_train.variance_table(BANDIT.rewards, int(seed.value or 0))
    ]
    show.stack(
        mo.md("## What the baseline does: the variance of the gradient"),
        show.table((">chance of the right action", "rewards", *(f">{name}" for name in BASELINES)), _rows),
        mo.md(NOISE),
    )
    return


@app.cell(hide_code=True)
def _(settings):
    show.behind(show.command("course.bandit_train", settings), learn, take_step, log_prob_gradient)
    return


if __name__ == "__main__":
    app.run()
