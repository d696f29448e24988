"""The pictures: the rewards of each answer and by true rank, and the learning curve."""

import textwrap
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file is drawn, no window is opened

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from preference.evaluation.evaluation import Evaluation
from preference.evaluation.learning_curve import LearningCurve, Measured
from preference.evaluation.metrics import Agreement, by_ranking
from preference.statistics import bootstrap_interval

MOST_ANSWERS = 40  # bars; more would be too many to read
FURTHEST = 4  # times the rankings that there are
NEAR = 0.1  # a mark further below everything else would make the rest small


def plot_rewards(evaluation: Evaluation, path: str | Path, *, title: str) -> None:
    """Draw the rewards of a part's answers to `path`: bars below their prompts, and a histogram stacked by true rank.

    The format follows the extension. Colours run from dark (best) to light, which stays readable in grey.
    """
    ranks = [rank for ranking in evaluation.rankings for rank in ranking.ranks]
    levels, ends = sorted(set(ranks)), np.cumsum([len(ranking.answers) for ranking in evaluation.rankings])
    shown = max(1, int(np.searchsorted(ends, MOST_ANSWERS, "right")))
    rows = _rows(evaluation, shown)
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box
    sns.set_theme(style="whitegrid", font_scale=0.85)
    palette = dict(zip(levels, sns.color_palette("viridis", len(levels)), strict=True))
    bars = {"hue_order": levels, "palette": palette, "edgecolor": "0.25", "linewidth": 0.4}
    size = 12.4, max(5.5, 0.4 * len(rows) + 1.6)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained", width_ratios=[7.4, 4.6])

    sns.barplot(rows, x="reward", y="row", hue="rank", orient="h", dodge=False, saturation=1, ax=left, **bars)
    left.set_yticks(rows["row"], rows["text"], fontsize=7.5)
    for label, is_prompt in zip(left.get_yticklabels(), rows["rank"].isna(), strict=True):
        label.set_fontweight("bold" if is_prompt else "normal")
    left.axvline(0, color="0.3", linewidth=0.8)
    left.set(xlabel="reward (0 = mean, 1 = standard deviation\nof the ranked answers)", ylabel="")
    first = f" (first {shown} of {len(evaluation.rankings)} prompts)" if shown < len(evaluation.rankings) else ""
    left.set_title(f"Reward of each {evaluation.part} answer{first}", loc="left", fontweight="bold")
    left.get_legend().remove()
    handles = [Patch(color=palette[level], label=f"rank {level}") for level in levels[:12]]
    handles[0].set_label(f"rank {levels[0]} (best)")
    figure.legend(handles=handles, title="true rank", loc="outside lower center", ncols=12, frameon=False)

    bars |= {"hue_order": levels[::-1], "bins": int(np.clip(1.5 * np.sqrt(len(ranks)), 8, 40)), "alpha": 1}
    rewards = np.asarray(evaluation.rewards, float)
    sns.histplot(x=rewards, hue=ranks, multiple="stack", legend=False, ax=right, **bars)
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_title("Scores by true rank", loc="left", fontweight="bold")
    right.set(xlabel="score (reward)", ylabel="answers")
    figure.suptitle(title, fontsize="large")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _rows(evaluation: Evaluation, prompts: int) -> pd.DataFrame:
    """Return text, rank and reward of each answer to the first `prompts`, best first, below a row for its prompt."""
    rows: list[tuple[str, int | None, float | None]] = []
    for ranking, values in by_ranking(evaluation.rankings, evaluation.rewards)[:prompts]:
        rows.append((_wrap(ranking.prompt, 1), None, None))
        order = np.argsort(ranking.ranks, kind="stable")
        rows += [(_wrap(ranking.answers[i], 2), ranking.ranks[i], values[i]) for i in order]
    return pd.DataFrame(rows, columns=["text", "rank", "reward"]).rename_axis("row").reset_index()


def _wrap(text: str, lines: int) -> str:
    # Fonts lack glyphs for control characters, and $ would start a formula.
    text = "".join(character if character.isprintable() else " " for character in text).replace("$", r"\$")
    return "\n".join(textwrap.wrap(text, 60, max_lines=lines, placeholder=" …")) or " "


def plot_learning_curve(
    measured: Measured, curve: LearningCurve, evaluation: Evaluation, path: Path, *, again: Agreement | None = None
) -> None:
    """Draw the accuracy over the number of ranked prompts: measured with 95 % intervals, expected with an 80 % band.

    Lines beside it are the length rules, how well raters agree, and people with themselves (`again`).
    """
    rules = {"longest answer is best": evaluation.longest, "shortest answer is best": evaluation.shortest}
    marks = {name: rule.pairwise_accuracy for name, rule in rules.items()}
    people = {"yourself, shown prompts again": again, "two raters agree": evaluation.raters}
    marks |= {name: agreement.share for name, agreement in people.items() if agreement}
    prompts, sizes, accuracies = evaluation.metrics.prompts, measured.sizes, measured.accuracies()
    intervals = np.array([bootstrap_interval(right, measured.pairs) for right in measured.right.T])
    expected_at = np.geomspace(sizes[-1], FURTHEST * prompts, 40)
    mean, low, high = np.array([curve.predict(at) for at in expected_at]).T

    sns.set_theme(style="whitegrid", font_scale=0.9)
    figure, axis = plt.subplots(figsize=(9.5, 5.6), layout="constrained")
    blue = sns.color_palette("viridis", 3)[0]
    axis.errorbar(
        sizes, accuracies, yerr=np.abs(intervals - accuracies[:, None]).T, fmt="o-", color=blue, capsize=4,
        label="measured on prompts not trained on, 95 % interval",
    )  # fmt: skip
    axis.plot(expected_at, mean, "--", color=blue, label="expected, 80 % interval")
    axis.fill_between(expected_at, low, high, color=blue, alpha=0.15, linewidth=0)
    ends = {prompts: "now", 2 * prompts: "twice", FURTHEST * prompts: f"{FURTHEST} times"}
    axis.plot(list(ends), [curve.predict(at).mean for at in ends], "o", color=blue, markerfacecolor="white")
    lowest = min(*intervals[:, 0], *low)
    shown = [mark for mark in marks.values() if mark > lowest - NEAR]
    axis.set_ylim(max(0.0, min(lowest, *shown) - 0.03), min(1.01, max(*intervals[:, 1], *shown, *high) + 0.03))
    for (name, mark), colour in zip(marks.items(), sns.color_palette("Dark2", len(marks)), strict=True):
        label = f"{name}: {mark:.2f}" + ("" if mark in shown else " (below the picture)")
        axis.axhline(mark, color=colour, linewidth=1.2, linestyle=":", label=label)

    axis.set_xscale("log", base=2)
    near = [size for size in sizes if size < 0.75 * prompts]
    axis.set_xticks([*near, *ends], [*map(str, near), *(f"{at}\n{name}" for at, name in ends.items())])
    axis.minorticks_off()
    axis.set(xlabel="ranked prompts given to a training (logarithmic)", ylabel="pairwise accuracy on unseen prompts")
    axis.set_title("Would more rankings help?", loc="left", fontweight="bold")
    handles, labels = axis.get_legend_handles_labels()  # what was measured comes last
    handles, labels = (items[-1:] + items[:-1] for items in (handles, labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
