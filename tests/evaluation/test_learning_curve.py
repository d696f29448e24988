import numpy as np
import pytest

from preference.evaluation.learning_curve import Measured, describe_gain, fit_curve

SIZES = [4, 6, 8, 11, 16, 23, 32, 45, 60]


def measured_of(curve, prompts: int, seed: int = 0) -> Measured:
    """Six pairs per prompt: all sizes share how hard each prompt is."""
    hard = np.random.default_rng(seed).normal(0, 0.2, (prompts, 1))
    at_size = np.array([curve(size) for size in SIZES])
    return Measured(np.array(SIZES), 6 * np.clip(at_size + hard, 0, 1), np.full(prompts, 6.0))


def test_a_curve_of_the_known_form_goes_on():
    curve = fit_curve(measured_of(lambda size: 0.75 - 0.2 * size**-0.5, prompts=20_000))
    assert curve.predict(240).mean == pytest.approx(0.75 - 0.2 * 240**-0.5, abs=0.01)
    assert curve.gain(60, 240).mean == pytest.approx(0.2 * (60**-0.5 - 240**-0.5), abs=0.004)


def test_intervals_narrow_with_prompts_and_hold_the_prediction():
    few, many = (fit_curve(measured_of(lambda size: 0.7, prompts)).predict(150) for prompts in (30, 300))
    assert few.low < few.mean < few.high and many.high - many.low < 0.5 * (few.high - few.low)


def test_prompts_that_are_all_right_prove_no_certainty():
    all_right = Measured(np.array(SIZES), np.full((8, len(SIZES)), 6.0), np.full(8, 6.0))
    prediction = fit_curve(all_right).predict(16)
    assert prediction.low < 0.95 and prediction.high == pytest.approx(1.0)


@pytest.mark.parametrize("prompts", [75, *(pytest.param(count, marks=pytest.mark.faults) for count in (30, 300))])
def test_eighty_per_cent_of_the_intervals_hold_the_truth(prompts):
    held = 0
    for draw in range(200):
        prediction = fit_curve(measured_of(lambda size: 0.7 - 0.2 * size**-0.5, prompts, seed=draw), seed=draw).predict(
            150
        )
        held += prediction.low <= 0.7 - 0.2 * 150**-0.5 <= prediction.high
    assert 0.72 <= held / 200 <= 0.92


@pytest.mark.parametrize(
    "curve, outlook",
    [
        (lambda size: 0.75 - 0.6 * size**-0.5, "More rankings are likely to help: "),
        (lambda size: 0.7, "More rankings are unlikely to help much: "),
    ],
)
def test_the_sentence(curve, outlook):
    sentence = describe_gain(fit_curve(measured_of(curve, 400)), 75)
    assert sentence.startswith(outlook)
    assert " with twice as many (150; 80 % interval " in sentence and " with four times as many (300; " in sentence
