import argparse

import pytest

from preference.arguments import above, at_least, from_to


@pytest.mark.parametrize(
    "check, good, bad",
    [
        (at_least(1), {"1": 1, "20": 20}, {"0": "0 is not at least 1", "-3": "-3 is not at least 1"}),
        (above(0), {"0.5": 0.5}, {"0": "0 is not above 0", "nan": "nan is not above 0"}),
        (from_to(0, 1), {"0": 0, "1": 1}, {"1.1": "1.1 is not from 0 to 1", "nan": "nan is not from 0 to 1"}),
        (from_to(0, 1, below=True), {"0": 0, "0.99": 0.99}, {"1": "1 is not from 0 to below 1"}),
    ],
)
def test_ranges(check, good, bad):
    assert {text: check(text) for text in good} == good
    for text, message in bad.items():
        with pytest.raises(argparse.ArgumentTypeError, match=message):
            check(text)
    with pytest.raises(ValueError):
        check("x")
