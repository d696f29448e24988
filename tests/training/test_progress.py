from types import SimpleNamespace

from preference.data.rankings import Ranking
from preference.training.progress import ShowFolds, say_summary


def test_one_bar_counts_the_steps_of_all_folds_also_of_those_that_were_known():
    progress = ShowFolds(steps=30, folds=3)
    [bar] = progress.bar.tasks
    assert (bar.total, bar.completed, bar.description) == (30, 0, "fold 1 of 3")
    progress.end_fold(10)  # known from earlier: no step was taken
    assert (bar.completed, bar.description) == (10, "fold 2 of 3")
    progress.on_step_end(None, SimpleNamespace(global_step=4), None)
    assert bar.completed == 14
    progress.end_fold(10)
    progress.end_fold(10)
    assert (bar.completed, bar.description) == (30, "fold 3 of 3")


def test_the_summary_names_samples_time_and_loss(capsys):
    trained = SimpleNamespace(steps=60, seconds=12.34, ranked_answers_per_second=5.0, training_loss=0.54321)
    training = [Ranking("p", ["a", "b", "c"], [1, 2, 3]), Ranking("p", ["a", "b"], [1, 2], "bob"), Ranking("q", ["a", "b"], [1, 2])]
    say_summary(trained, training, [])
    assert capsys.readouterr().out.splitlines() == [
        "training samples    7 ranked answers to 2 prompts",
        "validation samples  0 ranked answers to 0 prompts",
        "training time       60 steps in 12.3 s, 5.0 ranked answers/s",
        "training loss       0.5432 (mean of all steps)",
    ]
