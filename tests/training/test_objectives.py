import math

import pytest
import torch

from preference.training.objectives import LOSSES, bradley_terry, plackett_luce, rank_targets, regression
from preference.training.settings import OBJECTIVES


def tensors(rewards, ranks):
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(ranks)


def test_rank_targets_share_ties_ignore_gaps_and_padding():
    ranks = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 2, 0], [3, 9, 3, 7], [2, 1, 0, 0]])
    expected = [[1, 2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3, 1], [1, 1, 0, 0], [1, 0, 1, 0.5], [0, 1, 0, 0]]
    torch.testing.assert_close(rank_targets(ranks), torch.tensor(expected))


def test_regression_by_hand():
    # targets 4, 2, 0 and rewards 5, 1, 0 differ by 1, -1, 0, which is centred already
    assert regression(*tensors([[5.0, 1.0, 0.0]], [[1, 2, 3]])).item() == pytest.approx((1 + 1 + 0) / 3)
    assert regression(*tensors([[9.0, 7.0, 5.0]], [[1, 2, 3]])).item() == pytest.approx(0)


def test_bradley_terry_by_hand():
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = -(math.log(sigmoid(2 - 0.5)) + math.log(sigmoid(2 - 1))) / 2  # the tied pair forms no comparison
    assert bradley_terry(*tensors([[2.0, 0.5, 1.0]], [[1, 2, 2]])).item() == pytest.approx(expected)


def test_plackett_luce_by_hand():
    a, b, c = (math.exp(x) for x in (2.0, 0.5, 1.0))
    whole_order = -(math.log(a / (a + b + c)) + math.log(b / (b + c))) / 2
    assert plackett_luce(*tensors([[2.0, 0.5, 1.0]], [[1, 2, 3]])).item() == pytest.approx(whole_order)
    two_best = -(math.log(a / (a + c)) + math.log(b / (b + c))) / 2  # the tied ones compete with the worse one only
    assert plackett_luce(*tensors([[2.0, 0.5, 1.0]], [[1, 1, 2]])).item() == pytest.approx(two_best)


def test_plackett_luce_of_two_answers_is_bradley_terry():
    rewards = torch.randn(20, 2, dtype=torch.float64)
    ranks = torch.tensor([[1, 2], [2, 1]] * 10)
    torch.testing.assert_close(plackett_luce(rewards, ranks), bradley_terry(rewards, ranks))


@pytest.mark.parametrize("objective", LOSSES.values(), ids=LOSSES)
def test_identities(objective):
    torch.manual_seed(0)
    rewards = torch.randn(6, 4, dtype=torch.float64)
    ranks = torch.tensor([[1, 2, 3, 4], [1, 1, 2, 2], [4, 1, 9, 2], [2, 2, 1, 2], [1, 2, 2, 3], [3, 2, 1, 1]])
    loss = objective(rewards, ranks)
    torch.testing.assert_close(
        objective(rewards + torch.randn(6, 1), ranks), loss, atol=1e-9, rtol=0
    )  # shift of a prompt
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(objective(rewards[:, order], ranks[:, order]), loss)  # order of the answers
    padded = (
        torch.cat([rewards, torch.full((6, 2), 99.0)], dim=1),
        torch.cat([ranks, torch.zeros(6, 2, dtype=torch.long)], dim=1),
    )
    torch.testing.assert_close(objective(*padded), loss)  # padding
    each = torch.stack([objective(rewards[i : i + 1], ranks[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(each.mean(), loss)  # the mean over prompts


@pytest.mark.parametrize("objective", LOSSES.values(), ids=LOSSES)
def test_gradients_are_finite_with_padding_and_point_the_right_way(objective):
    rewards = torch.zeros(2, 3, requires_grad=True)
    objective(rewards, torch.tensor([[1, 2, 3], [2, 1, 0]])).backward()
    gradient = rewards.grad
    assert torch.isfinite(gradient).all()
    assert gradient[0, 0] < 0 < gradient[0, 2] and gradient[1, 1] < 0 < gradient[1, 0]
    assert gradient[1, 2] == 0


def test_every_objective_of_the_settings_has_its_loss():
    assert tuple(LOSSES) == OBJECTIVES
