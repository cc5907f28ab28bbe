"""Pictures in one style, the same bytes each time. matplotlib is loaded here, and without a display."""

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # told apart by the colour-blind
LINES = ("-", "--", ":", "-.")  # told apart in grey

mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25})
mpl.rcParams.update({"font.size": 10, "axes.titlesize": 11, "legend.frameon": False, "figure.dpi": 130})


def new_figure(title: str, panels: int = 1, width: float = 7.0, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    """A figure with its panels side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=12)
    axes = figure.subplots(1, panels, squeeze=False)
    return figure, list(axes[0])


def png(figure: Figure) -> bytes:
    """The figure as a PNG. No date and no version stand in it, so the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
