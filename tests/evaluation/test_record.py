import json

import numpy as np

from preference.evaluation.record import Record, read_record


def test_what_metrics_json_knows_is_read_and_the_rest_is_none(tmp_path):
    quantiles = np.linspace(0, 1, 101).tolist()
    known = {"reward_quantiles": quantiles, "calibration": {"temperature": 0.8}, "seen_prompts": ["ab"]}
    (tmp_path / "metrics.json").write_text(json.dumps(known))
    record = read_record(tmp_path)
    assert (record.calibration.temperature, record.seen_prompts, record.percentiles([0.25])) == (0.8, ["ab"], [25])
    assert round(record.probability(1.0), 2) == 0.78
    for broken in (
        {"reward_quantiles": quantiles[::-1]},
        {"reward_quantiles": quantiles[:5]},
        {"reward_quantiles": [None] * 101},
    ):
        (tmp_path / "metrics.json").write_text(json.dumps(known | broken))
        record = read_record(tmp_path)
        assert record.calibration.temperature == 0.8 and record.percentiles([0.0]) is None
    for broken in (None, {}, {"temperature": "x"}, {"temperature": 0}, {"temperature": float("nan")}):
        (tmp_path / "metrics.json").write_text(json.dumps(known | {"calibration": broken}))
        assert read_record(tmp_path).probability(1.0) is None
    assert read_record(tmp_path / "none") == Record()
