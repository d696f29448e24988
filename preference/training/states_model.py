"""The head alone, as a model for the Trainer: what it reads of each text is computed already."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn


class StatesModel(nn.Module):
    """One linear layer from standardised states, shape (answers, width), to rewards, shape (answers, 1).

    Args:
        weights: those of a probe, to start from: shape (width,).
    """

    def __init__(self, weights: np.ndarray):
        super().__init__()
        self.output = nn.Linear(len(weights), 1, bias=False)
        with torch.no_grad():
            self.output.weight.copy_(torch.from_numpy(weights)[None])

    def forward(self, states: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.output(states))

    def weights(self) -> np.ndarray:
        """Return the weights as they are now: shape (width,)."""
        return self.output.weight.detach().double().cpu().numpy()[0]
