import marimo

app = marimo.App(width="medium", app_title="Try")

with app.setup:
    import os, sys, time, threading
    import marimo as mo
    from course import kl_tradeoff_demo as kl


@app.cell(hide_code=True)
def _():
    mo.md("# Leash")
    return


@app.cell
def _():
    beta = mo.ui.slider(0.01, 1.0, 0.01, value=0.1, label="beta", show_value=True)
    beta
    return (beta,)


@app.cell
def _(beta):
    _f = kl.run(kl.Settings(betas=(*kl.BETAS, beta.value)))
    _t = time.perf_counter()
    _png = kl.draw(_f)
    mo.vstack([mo.image(_png, alt="x"), mo.md(f"{os.getpid()} {threading.current_thread().name} {time.perf_counter()-_t:.3f} {beta.value}")])
    return

if __name__ == "__main__":
    app.run()
