import sys
from collections import Counter

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import benchmark


def test_made_rows_have_realistic_lengths_and_an_order_that_length_does_not_tell():
    from preference.metrics import length_baselines

    rankings = benchmark.make_rankings(200, seed=0)
    lengths = [len(answer.split()) for ranking in rankings for answer in ranking.answers]
    assert 100 < sorted(lengths)[len(lengths) // 2] < 200 and max(lengths) > 400
    assert abs(length_baselines(rankings)["longest_answer"]["pairwise_accuracy"] - 0.5) < 0.1
    assert Counter(tuple(sorted(r.ranks)) for r in rankings) == {(1, 2, 3, 4): 200}


def test_a_way_runs_and_gives_its_rate(tmp_path):
    from preference.rankings import write_rankings

    write_rankings(tmp_path / "data.csv", benchmark.make_rankings(12, seed=0))
    figures = benchmark.run_way("regression", str(tmp_path / "data.csv"), benchmark.MINILM, seconds=2, quality=False, epochs=1, held_out=0.3)
    assert figures["way"] == "regression" and figures["rate"] > 0.1
