"""Learn: π0 itself, paid by a rubric of your choice, watched while it learns, and saved as a run."""

import marimo

app = marimo.App(width="medium", app_title="Learn")

with app.setup:
    import threading
    from functools import partial

    import marimo as mo

    from course.core.display import percent
    from course.core.files import InputError
    from course.core.scoring import PATCHED, SCORERS, STRICT
    from explore import show

    try:
        from course.policy import reinforce, train
        from course.policy.core.learning import Settings
        from explore.learner import Learner

        MISSING = ""
    except ModuleNotFoundError as error:
        MISSING = str(error)
    CODES = 6  # of the last measurement, the most frequent


@app.cell(hide_code=True)
def _():
    show.heading(
        "learn",
        """
    π0 answers the train problems, is paid by the rubric, and every token of a completion is made more or less likely by
    its advantage. Nobody shows it a right answer. **Choose what you pay for, and say what it will do; then press Go.**
    """,
    )
    return


@app.cell(hide_code=True)
def _():
    mo.stop(bool(MISSING), show.lines(MISSING))
    rubric = mo.ui.dropdown([*SCORERS, PATCHED], value=STRICT, label="It is paid by")
    beta = show.slider("Leash, beta", steps=[0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], value=0.0)
    flips = show.slider("Rewards flipped, share", 0.0, 0.5, 0.05, value=0.0)
    steps = show.slider("Steps", 8, 96, 8, value=40)
    seed = mo.ui.number(0, 9_999, value=0, label="Seed")
    stopping = threading.Event()
    go = mo.ui.run_button(label="Go", kind="success")
    stop = mo.ui.button(label="Stop", on_click=lambda _: stopping.set())
    save = mo.ui.run_button(label="Save as a run")
    show.stack(
        show.knobs(rubric, beta, flips, steps, seed),
        show.knobs(go, stop, save),
        mo.md(f"`{PATCHED}` is your own rubric, in `notes/patch.py`, as it stands when you turn a knob."),
    )
    return beta, flips, go, rubric, save, seed, steps, stopping


@app.cell(hide_code=True)
def _(beta, flips, rubric, seed, steps):
    settings = Settings(
        rubric=rubric.value, beta=beta.value, reward_flip_rate=flips.value, steps=steps.value, seed=int(seed.value or 0)
    )
    try:
        learner = Learner(settings)
    except InputError as error:
        mo.stop(True, show.lines(error))
    return learner, settings


@app.cell(hide_code=True)
def _():
    def numbers(learner):
        """The measurements, as the command prints them."""
        rows = [
            (row["step"], percent(row["strict"]), percent(row["proxy"]), f"{row['kl']:.3f}", row["completions"][0])
            for row in learner.state.measured
        ]
        return show.table((">step", ">strict", ">rubric", ">KL", "says"), rows)

    def newest(learner):
        """What it says now: codes, the best paid, and shapes that it never used before."""
        last = learner.state.measured[-1]
        codes = sorted(last["codes"].items(), key=lambda item: (-item[1], item[0]))
        shares = [(code, f"{many / last['prompts']:.3f}") for code, many in codes[:CODES]]
        paid = [(f"{said.proxy:g}", f"{said.strict:g}", said.text) for said in learner.best_paid()]
        return show.knobs(
            show.table(("code", "share"), shares, "What the strict scorer says", bar=1),
            show.table((">rubric pays", ">strict pays", "completion"), paid, "Best paid now"),
            show.table((">times", "A, B: numbers"), learner.new_families(), "Shapes not seen before"),
        )

    def live(learner):
        """All of it, drawn anew."""
        parted = "" if learner.settings.rubric == STRICT else "Where do pay and what was wanted (strict) part? "
        notice = f"{parted}Left: what it earns; dev problems are never trained on. Right: how far it went from π0."
        drawn = show.picture(partial(train.draw, learner.settings, learner.state), notice, numbers(learner))
        return show.stack(drawn, newest(learner))

    return (live,)


@app.cell(hide_code=True)
def _(go, learner, live, stopping):
    mo.stop(not go.value, mo.md("*Nothing is learning. Go goes on where it was stopped with these settings.*"))
    stopping.clear()

    def _work(learner=learner):  # whatever another cell calls so by then
        thread = mo.current_thread()
        parts: list[mo.Html] = []

        def look(measured):
            if measured or not parts:
                parts[:] = [live(learner)]
            step, of = learner.state.step, learner.settings.steps
            line = f"<p role='status'>step {step} of {of} <progress max='{of}' value='{step}'></progress></p>"
            mo.output.replace(show.stack(mo.Html(line), *parts))

        learner.learn(look, lambda: thread.should_exit or stopping.is_set())
        done = learner.ended or f"Done: {learner.settings.steps} steps, {learner.state.seconds:.0f} s. You can save it."
        if not thread.should_exit:
            parts = parts or ([live(learner)] if learner.state else [])
            mo.output.replace(show.stack(mo.Html(f"<p role='status'><strong>{show.text(done)}</strong></p>"), *parts))

    mo.Thread(target=_work, daemon=True).start()
    mo.md("Learning …")
    return


@app.cell(hide_code=True)
def _(learner, save):
    mo.stop(not save.value)
    try:
        _folder, _verdict = learner.save()
    except InputError as error:
        mo.stop(True, show.lines(error))
    mo.Html(f"<p role='status'>Saved as <code>{show.text(_folder)}</code>; verify_run: {show.text(_verdict)}.</p>")
    return


@app.cell(hide_code=True)
def _(settings):
    show.behind(show.command("course.policy.train", settings), reinforce.train_step)
    return


if __name__ == "__main__":
    app.run()
