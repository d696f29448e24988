from types import SimpleNamespace

from preference.data.rankings import Ranking
from preference.jobs.training import print_summary


def test_the_summary_names_samples_time_and_loss(capsys):
    trained = SimpleNamespace(steps=60, seconds=12.34, ranked_answers_per_second=5.0, training_loss=0.54321)
    training = [
        Ranking("p", ["a", "b", "c"], [1, 2, 3]),
        Ranking(" P ", ["a", "b"], [1, 2], "bob"),
        Ranking("q", ["a", "b"], [1, 2]),
    ]
    print_summary(trained, training, [])
    assert capsys.readouterr().out.splitlines() == [
        "training samples    7 ranked answers to 2 prompts",
        "validation samples  0 ranked answers to 0 prompts",
        "training time       60 steps in 12.3 s, 5.0 ranked answers/s",
        "training loss       0.5432 (mean of all steps)",
    ]
