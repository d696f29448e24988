import json

import numpy as np
import pytest

from preference.errors import InputError
from preference.evaluation.record import WRITER, Record, read_record


def test_what_the_trainer_wrote_is_read_and_all_else_counts_as_nothing(tmp_path):
    known = {"reward_quantiles": np.linspace(0, 1, 101).tolist(), "calibration": {"temperature": 0.8}}
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(known | {"written_by": WRITER, "seen_prompts": ["ab"], "of_an_older_version": 3}))
    record = read_record(tmp_path)
    assert (record.calibration.temperature, record.seen_prompts, record.percentiles([0.25])) == (0.8, ["ab"], [25])
    assert round(record.probability(1.0), 2) == 0.78
    for other in (json.dumps(known), json.dumps([known]), "3", "{", ""):
        path.write_text(other)
        assert read_record(tmp_path) == Record()
    assert read_record(tmp_path / "none") == Record()


@pytest.mark.parametrize(
    "damage",
    [
        {"calibration": "x"},
        {"calibration": {"temperature": "x"}},
        {"calibration": {"temperature": 0}},
        {"calibration": {"temperature": -1}},
        {"calibration": {"temperature": float("nan")}},
        {"calibration": {"temperature": float("inf")}},
        {"seen_prompts": 3},
        {"files": None},
        {"files": [3]},
        {"reward_quantiles": [*range(101, 0, -1)]},
        {"reward_quantiles": [1.0, 2.0]},
        {"reward_quantiles": ["x"] * 101},
    ],
)
def test_what_was_damaged_by_hand_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"written_by": WRITER, "calibration": None} | damage))
    with pytest.raises(InputError, match="metrics.json: not as the trainer writes it; restore it, or move the folder"):
        read_record(tmp_path)
