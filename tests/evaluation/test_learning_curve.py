import numpy as np
import pytest

from preference.data.folds import Fold
from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.evaluation.learning_curve import NORMAL_80, TYPICAL_GAIN, Point, describe_gain, fit_curve, measured_points, predict

SIZES = [10, 20, 40, 80]


def points_of(curve, prompts: int, seed: int = 0, *, seed_noise: float = 0.0, models: int = 5) -> list[Point]:
    """Points with six pairs per prompt: all share how hard each prompt is; each has noise of its own."""
    generator = np.random.default_rng(seed)
    hard = generator.normal(0, 0.18, prompts)
    points = []
    for size in SIZES:
        level = curve(size) + generator.normal(0, seed_noise / models**0.5)
        points.append(Point(size, 6 * (level + hard + generator.normal(0, 0.12, prompts)), np.full(prompts, 6.0)))
    return points


def test_a_straight_line_that_is_measured_well_goes_on():
    points = points_of(lambda size: 0.6 + 0.03 * np.log2(size / 10), prompts=100_000)
    assert predict(points, 80).mean == pytest.approx(0.69, abs=0.005)
    assert predict(points, 160).mean == pytest.approx(0.715, abs=0.01)  # the gain is shrunk towards the typical one
    gain = fit_curve(points).gain(80, 160)
    assert 0.0 < gain.low < gain.mean < gain.high < 0.06 and gain.mean > 1.5 * TYPICAL_GAIN


def test_one_point_is_continued_with_the_typical_gain():
    point = Point(60, np.full(50, 4.8), np.full(50, 6.0))
    assert predict([point], 60).mean == pytest.approx(0.8, abs=1e-3)
    assert predict([point], 240).mean == pytest.approx(0.8 + 2 * TYPICAL_GAIN, abs=1e-3)


def test_intervals_widen_with_distance_and_narrow_with_prompts():
    few, many = points_of(lambda size: 0.8, prompts=30), points_of(lambda size: 0.8, prompts=300)
    width = {(name, at): predict(points, at).high - predict(points, at).low for name, points in (("few", few), ("many", many)) for at in (80, 320)}
    assert width["few", 80] < width["few", 320] and width["many", 80] < width["many", 320]
    assert width["many", 320] < width["few", 320]
    assert predict(few[::-1], 160) == predict(few, 160)


def test_prompts_that_are_all_right_prove_no_certainty():
    points = [Point(size, np.full(8, 6.0), np.full(8, 6.0)) for size in SIZES]
    prediction = predict(points, 160)
    assert 0.85 < prediction.low < 0.97 and prediction.mean <= prediction.high == 1.0


@pytest.mark.parametrize("prompts", [30, 75, 300])
def test_eighty_per_cent_of_the_intervals_hold_the_truth(prompts):
    generator = np.random.default_rng(prompts)
    held, errors = 0, []
    for draw in range(300):
        gain, bend = generator.normal(TYPICAL_GAIN, 0.01), generator.normal(0, 0.002)

        def curve(size, gain=gain, bend=bend):
            doublings = np.log2(size / 80)
            return 0.8 + gain * doublings + bend * doublings**2

        prediction = predict(points_of(curve, prompts, seed=draw, seed_noise=0.01), 160)
        truth = curve(160) + generator.normal(0, 0.01)
        held += prediction.low <= truth <= prediction.high
        errors.append(abs(prediction.mean - truth))
    assert 0.74 < held / 300 < 0.9
    assert np.mean(errors) < 0.8 * (0.22**2 / prompts + 0.02**2) ** 0.5


def test_the_gain_leaves_out_what_the_level_shares():
    points = points_of(lambda size: 0.8, prompts=30)
    gain = fit_curve(points).gain(80, 160)
    level = predict(points, 160)
    assert gain.high - gain.low < 0.7 * (level.high - level.low)
    assert (gain.high - gain.mean) / NORMAL_80 < 0.02


def test_the_sentence_follows_the_gain():
    def said(rise: float, prompts: int) -> str:
        return describe_gain(fit_curve(points_of(lambda size: 0.7 + rise * np.log2(size / 80), prompts)), 100)

    likely = said(0.04, 400)
    assert likely.startswith("More rankings are likely to help: a model of these 100 ranked prompts is expected to reach 0.69")
    assert all(f", of {times} as many ({size}) 0." in likely for times, size in (("twice", 200), ("four times", 400)))
    assert "doubling them changes the accuracy by +0.0" in likely
    assert said(-0.03, 400).startswith("More rankings are unlikely to help: ")
    assert said(0.0, 400).startswith("More rankings may help, but these cannot tell: ")


def test_points_are_measured_on_what_each_share_was_given():
    rankings = [Ranking(f"p{i}", ["x", "y"], [1, 2]) for i in range(4)]
    folds = [[Fold(Parts([1, 2], []), [0]), Fold(Parts([0], []), [1, 2, 3])], [Fold(Parts([1, 2], [3]), [0]), Fold(Parts([0], []), [1, 2, 3])]]
    few, more = measured_points(rankings, folds, [np.array([1.0, 0] * 3 + [0, 1.0]), np.array([1.0, 0] * 4)])
    assert (few.trained_on, few.accuracy()) == (1.5, 0.75) and (more.trained_on, more.accuracy()) == (2.0, 1.0)
