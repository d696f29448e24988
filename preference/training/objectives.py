"""Objectives: what training minimises, from the rewards and ranks of whole rankings.

Every objective takes two tensors of shape (prompts, candidates): `rewards`, and `ranks` (1 = best, equal ranks are
ties, 0 marks padding where a prompt has fewer answers than another). It returns the mean over prompts as a scalar.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

# In training, rewards span about this much from a prompt's worst answer to its best, as they do under Bradley-Terry, so
# that the same learning rates suit every objective. The saved model's scale is set after training.
SPREAD = 4.0


def pad_rankings(ranks: Sequence[Sequence[int]], places: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each ranking's answers stand, and their ranks, 0 for padding: shape (rankings, most answers).

    >>> pad_rankings([[1, 2], [1]], torch.tensor([0, 2, 1]))
    (tensor([[0, 2],
            [1, 0]]), tensor([[1, 2],
            [1, 0]]))
    """
    positions = pad_sequence(places.split([len(ranking) for ranking in ranks]), batch_first=True)  # type: ignore[arg-type]
    return positions, pad_sequence([torch.tensor(ranking) for ranking in ranks], batch_first=True)


def rank_targets(ranks: Tensor) -> Tensor:
    """Map ranks to 1 for a prompt's best answer … 0 for its worst, in equal steps; gaps do not count.

    >>> rank_targets(torch.tensor([[1, 2, 3], [1, 2, 2], [4, 9, 0]]))
    tensor([[1.0000, 0.5000, 0.0000],
            [1.0000, 0.0000, 0.0000],
            [1.0000, 0.0000, 0.0000]])
    """
    present = ranks > 0
    # an answer's level is the number of distinct ranks that are better than its own
    in_order = ranks.masked_fill(~present, torch.iinfo(ranks.dtype).max).sort(dim=1).values
    first = F.pad(in_order[:, 1:] != in_order[:, :-1], (1, 0), value=True) & (in_order < torch.iinfo(ranks.dtype).max)
    better = (in_order[:, None, :] < ranks[:, :, None]) & first[:, None, :]
    level = better.sum(dim=2).float() * present
    worst = level.max(dim=1, keepdim=True).values.clamp(min=1)
    return (1 - level / worst) * present


def regression(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Squared error between a ranking's rewards and `SPREAD` times its `rank_targets`, both centred within the prompt.

    Centring leaves each prompt its own level, of which a ranking tells nothing. For untied answers it equals the
    squared error of all pairwise reward differences.
    """
    present = (ranks > 0).to(rewards.dtype)
    count = present.sum(dim=1, keepdim=True)
    error = (rewards - SPREAD * rank_targets(ranks).to(rewards.dtype)) * present
    error = (error - error.sum(dim=1, keepdim=True) / count) * present
    return (error.square().sum(dim=1) / count.squeeze(1)).mean()


def bradley_terry(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Negative log-likelihood of every pair: P(chosen over rejected) = sigmoid(margin) (Bradley & Terry 1952).

    Ties are not compared. Mean over a prompt's pairs, then over prompts that have one.
    """
    chosen = (ranks[:, :, None] < ranks[:, None, :]) & (ranks > 0)[:, :, None]
    margins = rewards[:, :, None] - rewards[:, None, :]
    pairs = chosen.sum(dim=(1, 2))
    loss = (-F.logsigmoid(margins) * chosen).sum(dim=(1, 2)) / pairs.clamp(min=1)
    return loss.sum() / (pairs > 0).sum().clamp(min=1)


def plackett_luce(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Negative log-likelihood of choosing each answer from itself and all below it (Luce 1959, Plackett 1975).

    Ties are not compared: an answer competes with strictly worse ones only. With two answers this is `bradley_terry`;
    without ties it is the likelihood of the whole order. Divided by the number of choices.
    """
    worse = (ranks[:, None, :] > ranks[:, :, None]) & (ranks > 0)[:, :, None]  # [p, i, k]: k ranks below i
    itself = torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device)
    rivals = rewards[:, None, :].expand(worse.shape).masked_fill(~(worse | itself), float("-inf"))
    choices = worse.any(dim=2)
    loss = ((rivals.logsumexp(dim=2) - rewards) * choices).sum(dim=1) / choices.sum(dim=1).clamp(min=1)
    return loss.sum() / choices.any(dim=1).sum().clamp(min=1)


LOSSES = {"regression": regression, "bradley-terry": bradley_terry, "plackett-luce": plackett_luce}
