import random

import matplotlib.image
import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation import plots
from preference.evaluation.evaluation import evaluate
from preference.evaluation.plots import MOST_ANSWERS, plot_rewards


def synthetic_rankings(prompts: int, each: int = 4) -> tuple[list[Ranking], list[float]]:
    rng = random.Random(0)
    some = [
        Ranking(
            f"Prompt {i} about $x$ and more words",
            [" ".join(["word"] * rng.randint(1, 80)) for _ in range(each)],
            list(range(1, each + 1)),
        )
        for i in range(prompts)
    ]
    return some, [rng.gauss(-rank, 0.5) for ranking in some for rank in ranking.ranks]


def check_picture(path) -> None:
    """Check that a picture has ink in both panels, and the size of a report."""
    pixels = matplotlib.image.imread(path)[..., :3]
    height, width = pixels.shape[:2]
    assert 700 < height < 3600 and 1500 < width < 6000
    assert pixels.reshape(-1, 3).std() > 0.05
    dark = pixels.min(axis=2) < 0.6
    assert dark[:, : width // 2].any() and dark[:, -width // 5 :].any()


def test_a_few_prompts_are_drawn(tmp_path):
    rankings, rewards = synthetic_rankings(3)
    plot_rewards(evaluate("test", rankings, np.asarray(rewards)), tmp_path / "plot.png", title="A title")
    check_picture(tmp_path / "plot.png")


@pytest.mark.parametrize("centred, label", [(True, "reward (0 = mean, 1 = standard"), (False, "reward (1 = standard")])
def test_zero_is_called_the_mean_only_where_it_is(tmp_path, monkeypatch, centred, label):
    figures = []
    monkeypatch.setattr(plots.plt, "close", figures.append)
    rankings, rewards = synthetic_rankings(3)
    evaluation = evaluate("test", rankings, np.asarray(rewards))
    plot_rewards(evaluation, tmp_path / "plot.png", title="A title", centred=centred)
    left, right = figures[0].axes
    assert left.get_xlabel().startswith(label) and right.get_xlabel() == "reward"


def test_odd_input_is_drawn(tmp_path):
    rankings = [Ranking("p", ["\x1b[31mred\x07", "$\\frac{", "字" * 200], [1, 2, 9])]
    plot_rewards(evaluate("test", rankings, np.zeros(3)), tmp_path / "plot.png", title="flat")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_bars_beyond_what_can_be_read_are_left_out_whole_prompts_at_a_time(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots.plt, "close", figures.append)
    rankings, rewards = synthetic_rankings(50, each=3)
    plot_rewards(evaluate("test", rankings, np.asarray(rewards)), tmp_path / "plot.png", title="A title")
    left = figures[0].axes[0]
    assert left.get_title(loc="left") == f"Reward of each test answer (first {MOST_ANSWERS // 3} of 50 prompts)"
    assert len(left.get_yticklabels()) == MOST_ANSWERS // 3 * 4  # three answers below their prompt
    drawn = sorted(bar.get_width() for bar in left.patches if bar.get_width())
    assert drawn == pytest.approx(sorted(rewards[: MOST_ANSWERS // 3 * 3]))


def test_the_right_panel_is_a_histogram_of_all_scores_coloured_by_true_rank(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots.plt, "close", figures.append)
    rankings, rewards = synthetic_rankings(30)
    plot_rewards(evaluate("test", rankings, np.asarray(rewards)), tmp_path / "plot.png", title="A title")
    check_picture(tmp_path / "plot.png")
    panel = figures[0].axes[-1]
    counted: dict[tuple, float] = {}
    for bar in panel.patches:
        counted[bar.get_facecolor()] = counted.get(bar.get_facecolor(), 0) + bar.get_height()
    assert set(counted.values()) == {30.0} and set(counted) == {
        (*colour, 1.0) for colour in plots.sns.color_palette("viridis", 4)
    }
    assert panel.get_ylabel() == "answers"
    ranges = [(bar.get_x(), bar.get_y(), bar.get_height()) for bar in panel.patches if bar.get_height()]
    assert len({(x, y) for x, y, _ in ranges}) == len(ranges)  # stacked: none covers another
