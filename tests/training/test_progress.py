from types import SimpleNamespace

from preference.training.progress import ShowFolds


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
