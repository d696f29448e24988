"""The picture of the rewards: of each answer, and by true rank."""

import textwrap
import warnings
from pathlib import Path
from typing import BinaryIO

import matplotlib

matplotlib.use("Agg")  # a file is drawn, no window is opened

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import by_ranking

MOST_ANSWERS = 40  # bars; more would be too many to read


def plot_rewards(
    evaluation: Evaluation, file: str | Path | BinaryIO, *, title: str, centred: bool = True, kind: str | None = None
) -> None:
    """Draw the rewards of a part's answers to `file`: bars below their prompts, and a histogram stacked by true rank.

    Without `kind`, such as png, the format follows the extension. Colours run from dark (best) to light, which stays
    readable in grey.
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
    zero = "0 = mean, " if centred else ""
    left.set(xlabel=f"reward ({zero}1 = standard deviation\nof the ranked answers)", ylabel="")
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
    right.set_title("Rewards by true rank", loc="left", fontweight="bold")
    right.set(xlabel="reward", ylabel="answers")
    figure.suptitle(title, fontsize="large")
    figure.savefig(file, dpi=150, format=kind)
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
