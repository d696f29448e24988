import pytest
import torch

from preference import machine
from preference.machine import choose_precision, matmul_rate


def test_what_is_asked_for_is_used():
    assert choose_precision("bf16", "cpu") == "bf16"
    assert choose_precision("fp32", "cpu") == "fp32"


@pytest.mark.parametrize("bf16_rate, expected", [(0.01, "fp32"), (1.1, "fp32"), (3.0, "bf16")])
def test_auto_follows_the_rates_that_it_measures(monkeypatch, bf16_rate, expected):
    monkeypatch.setattr(machine, "matmul_rate", lambda dtype, **options: bf16_rate if dtype == torch.bfloat16 else 1.0)
    assert choose_precision("auto", "cpu") == expected


def test_auto_on_this_machine_agrees_with_a_longer_measurement():
    fp32, bf16 = (matmul_rate(dtype, rows=256, width=384, seconds=0.5) for dtype in (torch.float32, torch.bfloat16))
    if not 0.8 < bf16 / fp32 < 1.8:  # in between either is right
        assert choose_precision("auto", "cpu", 384) == ("bf16" if bf16 > fp32 else "fp32")
