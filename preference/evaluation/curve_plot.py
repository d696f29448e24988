"""The picture of the learning curve: what was measured, what to expect of more rankings, and the marks beside both."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file is drawn, no window is opened

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from preference.evaluation.evaluation import Evaluation
from preference.evaluation.learning_curve import LearningCurve, Point
from preference.evaluation.tables import RepeatedAgreement
from preference.statistics import bootstrap_interval

FURTHEST = 4  # times the rankings that there are
NEAR = 0.1  # a mark further below everything else would make the rest small


def plot_learning_curve(
    points: Sequence[Point],
    curve: LearningCurve,
    evaluation: Evaluation,
    path: str | Path,
    *,
    again: RepeatedAgreement | None = None,
) -> None:
    """Draw the accuracy over the number of ranked prompts to `path` (the format follows the extension).

    Args:
        points: measured; drawn with their 95 % intervals from a bootstrap over prompts.
        curve: fitted to them; drawn on to `FURTHEST` times as many prompts as there are, with its 80 % band.
        evaluation: of all prompts; its length rules and its raters' agreement are drawn as lines.
        again: how well the person agrees with themselves; another line.
    """
    marks = {
        "longest answer is best": evaluation.longest.pairwise_accuracy,
        "shortest answer is best": evaluation.shortest.pairwise_accuracy,
    }
    if again:
        marks["yourself, shown prompts again"] = again.share
    if evaluation.raters:
        marks["two raters agree"] = evaluation.raters.share
    prompts = evaluation.metrics.prompts
    sns.set_theme(style="whitegrid", font_scale=0.9)
    figure, axis = plt.subplots(figsize=(9.5, 5.6), layout="constrained")
    blue = sns.color_palette("viridis", 3)[0]

    points = sorted(points, key=lambda point: point.trained_on)
    sizes, measured = [point.trained_on for point in points], np.array([point.accuracy() for point in points])
    intervals = np.array([bootstrap_interval(point.right, point.pairs) for point in points])
    reach = np.abs(intervals - measured[:, None]).T
    axis.errorbar(
        sizes,
        measured,
        yerr=reach,
        fmt="o-",
        color=blue,
        capsize=4,
        label="measured on prompts not trained on, 95 % interval",
    )

    expected_at = np.geomspace(sizes[-1], FURTHEST * prompts, 40)
    expected = [curve.predict(at) for at in expected_at]
    axis.plot(expected_at, [one.mean for one in expected], "--", color=blue, label="expected, 80 % interval")
    axis.fill_between(
        expected_at, [one.low for one in expected], [one.high for one in expected], color=blue, alpha=0.15, linewidth=0
    )
    ends = [prompts, 2 * prompts, FURTHEST * prompts]
    axis.plot(ends, [curve.predict(at).mean for at in ends], "o", color=blue, markerfacecolor="white")

    low = min([*intervals[:, 0], *(one.low for one in expected)])
    shown = [mark for mark in marks.values() if mark > low - NEAR]
    axis.set_ylim(
        max(0.0, min([low, *shown]) - 0.03),
        min(1.01, max([*intervals[:, 1], *shown, *(one.high for one in expected)]) + 0.03),
    )
    for (name, mark), colour in zip(marks.items(), sns.color_palette("Dark2", len(marks)), strict=True):
        axis.axhline(
            mark,
            color=colour,
            linewidth=1.2,
            linestyle=":",
            label=f"{name}: {mark:.2f}" + ("" if mark in shown else " (below the picture)"),
        )

    ticks = {at: f"{at:.0f}" for at in sizes if at < 0.75 * prompts}
    ticks |= {
        prompts: f"{prompts}\nnow",
        2 * prompts: f"{2 * prompts}\ntwice",
        FURTHEST * prompts: f"{FURTHEST * prompts}\n{FURTHEST} times",
    }
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.minorticks_off()
    axis.set_xlabel("ranked prompts given to a training (logarithmic)")
    axis.set_ylabel("pairwise accuracy on unseen prompts")
    axis.set_title("Would more rankings help?", loc="left", fontweight="bold")
    handles, labels = axis.get_legend_handles_labels()
    measured_first = sorted(range(len(labels)), key=lambda i: not labels[i].startswith("measured"))
    figure.legend(
        [handles[i] for i in measured_first],
        [labels[i] for i in measured_first],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)
