import matplotlib.image
import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation import curve_plot
from preference.evaluation.curve_plot import plot_learning_curve
from preference.evaluation.evaluation import evaluate
from preference.evaluation.learning_curve import Point, fit_curve
from preference.ranking.log import SelfAgreement


def test_the_picture_is_drawn_with_few_points_and_with_raters(tmp_path):
    rankings = [Ranking(f"p{i}", ["x", "yy"], [1, 2], rater=group) for i in range(6) for group in ("ann", "bob")]
    evaluation = evaluate("cross-validation", rankings, np.array([1.0, 0.0] * 12))
    everything_right = [Point(size, np.full(6, 2.0), np.full(6, 2.0)) for size in (2, 5)]
    for points in (everything_right, everything_right[1:]):
        path = tmp_path / f"{len(points)}.png"
        plot_learning_curve(points, fit_curve(points), evaluation, path)
        pixels = matplotlib.image.imread(path)[..., :3]
        assert pixels.shape[1] > 1200 and (pixels < 0.5).any(axis=2).mean() > 0.005


def test_the_marks_beside_the_curve_are_named_with_their_values(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(curve_plot.plt, "close", figures.append)
    rankings = [Ranking(f"p{i}", ["x", "yy"], [1, 2], rater=group) for i in range(6) for group in ("ann", "bob")]
    points = [Point(size, np.full(6, 2.0), np.full(6, 2.0)) for size in (2, 5)]
    again = SelfAgreement(prompts=3, pairs=3, share=0.95, interval=(0.5, 1.0))
    evaluation = evaluate("cross-validation", rankings, np.array([1.0, 0.0] * 12))
    plot_learning_curve(points, fit_curve(points), evaluation, tmp_path / "curve.png", again=again)
    [legend] = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "measured on prompts not trained on, 95 % interval", "to be expected, 80 % interval", "longest answer is best: 0.00 (below the picture)",
        "shortest answer is best: 1.00", "yourself, shown prompts again: 0.95", "two raters agree: 1.00",
    ]  # fmt: skip
