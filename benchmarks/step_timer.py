"""Times the steps of any Hugging Face Trainer."""

import math
import time

from transformers import TrainerCallback

WARM_UP_STEPS = 2


class StepTimer(TrainerCallback):
    """Times the steps after the first two, and stops the training once they have taken `seconds`.

    Attributes:
        steps: how many steps were timed.
        elapsed: the seconds they took.
    """

    def __init__(self, seconds: float | None = None):
        self.limit = math.inf if seconds is None else seconds
        self.started, self.steps, self.elapsed = 0.0, 0, 0.0

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        if state.global_step <= WARM_UP_STEPS:
            self.started = now
        else:
            self.steps, self.elapsed = state.global_step - WARM_UP_STEPS, now - self.started
            control.should_training_stop |= self.elapsed > self.limit

    def rate(self, answers_per_step: float) -> float:
        """Return ranked answers per second; NaN if no step was timed."""
        return self.steps * answers_per_step / self.elapsed if self.steps else math.nan
