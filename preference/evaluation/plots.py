"""The picture of the rewards: a bar for each test answer, and a histogram coloured by true rank."""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file is drawn, no window is opened

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import split_rewards

MOST_ANSWERS = 400  # bars beyond this would be too many to read
_ROWS_A_COLUMN = 88  # lines of text in one column of bars
_ROW_INCHES = 0.185
_TEXT_POINTS = 205  # width of the answers' texts


def plot_rewards(evaluation: Evaluation, path: str | Path, *, title: str) -> None:
    """Draw the rewards of a part's answers to `path` (the format follows the extension).

    The left panel has a bar for each answer, grouped by prompt and sorted by true rank, beside its wrapped text;
    it takes as many columns as it needs. The right panel is a histogram of all rewards, stacked by true rank. Colours
    run from dark (best) to light (viridis), which stays readable for colour-blind people and in grey.
    """
    rankings, rewards = evaluation.rankings, evaluation.rewards
    parts = split_rewards(rankings, rewards)
    shown = _first_prompts(rankings)
    few = sum(len(ranking.answers) for ranking in rankings[:shown]) <= 24
    lines_each = 3 if few else 1
    blocks = [
        _block(ranking, values, lines_each) for ranking, values in zip(rankings[:shown], parts[:shown], strict=True)
    ]
    columns = _columns(blocks)
    levels = sorted({rank for ranking in rankings for rank in ranking.ranks})
    palette = dict(zip(levels, sns.color_palette("viridis", len(levels)), strict=True))

    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box
    sns.set_theme(style="whitegrid", font_scale=0.85)
    rows = max(sum(block["rows"] for block in column) for column in columns)
    width = 7.4 if few else 6.2
    height = max(5.5, rows * _ROW_INCHES + 1.6)
    figure, axes = plt.subplots(
        1, len(columns) + 1, figsize=(width * len(columns) + 5, height), layout="constrained",
        gridspec_kw={"width_ratios": [width] * len(columns) + [4.6]},
    )  # fmt: skip
    low, high = min(0.0, *map(float, rewards)), max(0.0, *map(float, rewards))
    margin = 0.08 * (high - low or 1)
    for axis, column in zip(axes[:-1], columns, strict=True):
        _draw_bars(axis, column, palette, rows)
        axis.set_xlim(low - margin, high + margin)
    left_title = f"Reward of each {evaluation.part} answer"
    if shown < len(rankings):
        left_title += f" (first {shown} of {len(rankings)} prompts)"
    axes[0].set_title(left_title, loc="left", fontweight="bold")
    figure.legend(
        handles=[Patch(color=palette[level], label=f"rank {level}" + (" (best)" if level == levels[0] else "")) for level in levels[:12]],
        title="true rank", loc="outside lower center", ncols=min(len(levels), 12), frameon=False,
    )  # fmt: skip
    _draw_distribution(axes[-1], rankings, rewards, palette)
    figure.suptitle(title, fontsize="large")
    figure.savefig(path, dpi=150 if height < 15 else 110)
    plt.close(figure)


def _first_prompts(rankings: Sequence[Ranking]) -> int:
    totals = np.cumsum([len(ranking.answers) for ranking in rankings])
    return max(1, int(np.searchsorted(totals, MOST_ANSWERS, side="right")))


def _block(ranking: Ranking, values: np.ndarray, lines_each: int) -> dict:
    """Lay out one prompt: its wrapped heading and, for each answer, its wrapped text, its place and its reward."""
    heading = _wrap(ranking.prompt, 76, 2)
    at, bars = len(heading) + 0.3, []
    for i in np.argsort(ranking.ranks, kind="stable"):
        lines = _wrap(ranking.answers[i], 52, lines_each)
        bars.append((at + len(lines) / 2, len(lines), "\n".join(lines), ranking.ranks[i], float(values[i])))
        at += len(lines) + (0.5 if lines_each > 1 else 0.12)
    return {"heading": heading, "bars": bars, "rows": at + 0.9}


def _wrap(text: str, width: int, lines: int) -> list[str]:
    # Fonts lack glyphs for control characters, and $ would start a formula.
    text = "".join(character if character.isprintable() else " " for character in text).replace("$", r"\$")
    return textwrap.wrap(text, width, max_lines=lines, placeholder=" …") or [" "]


def _columns(blocks: list[dict]) -> list[list[dict]]:
    """Share the prompts out over as many columns of about equal height as they need."""
    total = sum(block["rows"] for block in blocks)
    count = max(1, round(total / _ROWS_A_COLUMN))
    columns: list[list[dict]] = [[]]
    filled = 0.0
    for block in blocks:
        if columns[-1] and filled + block["rows"] / 2 > total / count * len(columns):
            columns.append([])
        columns[-1].append(block)
        filled += block["rows"]
    return columns


def _draw_bars(axis: Axes, blocks: list[dict], palette: dict, rows: float) -> None:
    ticks, labels, top = [], [], 0.0
    for block in blocks:
        # from the left end of the answers' texts; kept out of the layout, which would widen the axes for it
        axis.annotate(
            "\n".join(block["heading"]), (0, top + len(block["heading"]) / 2), xycoords=axis.get_yaxis_transform(),
            xytext=(-_TEXT_POINTS, 0), textcoords="offset points", va="center", ha="left", fontweight="bold", fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        ).set_in_layout(False)  # fmt: skip
        for middle, lines, text, rank, value in block["bars"]:
            axis.barh(
                top + middle, value, height=min(lines, 2) * 0.8, color=palette[rank], edgecolor="0.25", linewidth=0.4
            )
            ticks.append(top + middle)
            labels.append(text)
        top += block["rows"]
    axis.axvline(0, color="0.3", linewidth=0.8)
    axis.set_yticks(ticks, labels, fontsize=7.5)
    axis.set_ylim(rows, -0.2)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("reward (0 = mean, 1 = standard deviation\nof the ranked answers)")


def _draw_distribution(axis: Axes, rankings: Sequence[Ranking], rewards: np.ndarray, palette: dict) -> None:
    ranks = [rank for ranking in rankings for rank in ranking.ranks]
    bins = int(np.clip(1.5 * np.sqrt(len(ranks)), 8, 40))
    sns.histplot(
        x=np.asarray(rewards, dtype=float), hue=ranks, hue_order=list(palette)[::-1], palette=palette, multiple="stack", bins=bins,
        alpha=1, edgecolor="0.25", linewidth=0.4, legend=False, ax=axis,
    )  # fmt: skip
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title("Scores by true rank", loc="left", fontweight="bold")
    axis.set_xlabel("score (reward)")
    axis.set_ylabel("answers")
