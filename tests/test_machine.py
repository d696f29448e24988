import pytest
import torch

from preference import machine
from preference.machine import choose_precision


def test_what_is_asked_for_is_used():
    assert choose_precision("bf16", "cpu") == "bf16"
    assert choose_precision("fp32", "cpu") == "fp32"


@pytest.mark.parametrize("bf16_rate, expected", [(0.01, "fp32"), (1.1, "fp32"), (3.0, "bf16")])
def test_auto_follows_the_rates_that_it_measures(monkeypatch, bf16_rate, expected):
    monkeypatch.setattr(machine, "matmul_rate", lambda dtype, **options: bf16_rate if dtype == torch.bfloat16 else 1.0)
    assert choose_precision("auto", "cpu") == expected
