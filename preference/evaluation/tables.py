"""What is printed of an evaluation: rewards, agreement with the rankings, checks, verdict, disputes."""

from collections.abc import Callable, Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from preference.console import fitted, make_console, say, width
from preference.data.rankings import Ranking, name_of, named_apart
from preference.evaluation.evaluation import UNSEEN, Evaluation
from preference.evaluation.metrics import Agreement, Metrics, by_ranking, predicted_ranks
from preference.wording import counted, name_some

MOST_ANSWERS = 200  # printed; all of them are in rewards.csv
LABELS_WIDTH, CELL_WIDTH, GAP = 33, 20, 3  # columns in the table of agreement


def print_report(evaluations: Sequence[Evaluation], *, answers: bool = True, again: Agreement | None = None) -> None:
    """Print the rewards of the first part's answers, if wanted, the metrics of all parts, checks and verdict."""
    first = evaluations[0]
    if answers:
        print_answers(first, MOST_ANSWERS)
    unseen = sorted((e for e in evaluations if e.unseen), key=lambda e: UNSEEN.index(e.part), reverse=True)
    side_by_side = LABELS_WIDTH + (GAP + CELL_WIDTH) * len(unseen) <= width()
    for columns in [unseen] * bool(unseen) if side_by_side else [[e] for e in unseen]:
        say()
        make_console().print(agreement_table(columns, again=again))
    for e in evaluations:
        low, high, mean, deviation = (e.spread[f"reward_{name}"] for name in ("min", "max", "mean", "std"))
        ends = f"range {low:+.2f} to {high:+.2f}"
        say(f"{e.part} scores: {ends}, mean {mean:+.2f}, standard deviation {deviation:.2f}", hanging=2)
    for check in first.checks:
        say(f"{check.result:>12}  {check.name}: {check.evidence}", hanging=14)
    say(f"\n{first.verdict}")


def agreement_table(unseen: Sequence[Evaluation], *, again: Agreement | None = None) -> Table:
    """Return a table of the metrics of the unseen parts, a column each, beside length rules and what people reach.

    `again` is how well the person agrees with themselves, where prompts were shown twice.
    """
    title = "Agreement with the rankings"
    table = Table("", title=title, box=box.SIMPLE_HEAD, title_justify="left", show_edge=False, pad_edge=False)
    headers = [f"{e.part} ({counted(e.metrics.prompts, 'prompt')})" for e in unseen]
    narrow = LABELS_WIDTH + sum(GAP + max(CELL_WIDTH, len(header)) for header in headers) > width()
    for header in headers:
        table.add_column(header.replace(" (", "\n(") if narrow else header, justify="right", no_wrap=True)

    def row(name: str, cell: Callable[[Evaluation], str]) -> None:
        table.add_row(Text(name), *(Text(cell(e)) for e in unseen))

    row("pairwise accuracy [95 % interval]", lambda e: _share(e.metrics))
    row("  longest answer is best", lambda e: _share(e.longest))
    row("  shortest answer is best", lambda e: _share(e.shortest))
    if again:
        row(f"  yourself, shown {counted(again.prompts, 'prompt')} again", lambda e: _share(again))
    if any(e.raters for e in unseen):
        row("  two raters agree", lambda e: _share(e.raters))
        row("  Krippendorff's alpha", lambda e: _number(e.raters.alpha if e.raters else None))
    row("length-controlled accuracy", lambda e: _number(e.metrics.length_controlled_accuracy))
    row("Kendall tau", lambda e: _number(e.metrics.kendall_tau))
    row("Spearman rho", lambda e: _number(e.metrics.spearman_rho))
    row("best-of-n hit rate", lambda e: _number(e.metrics.best_of_n_hit_rate))
    return table


def _share(found: Metrics | Agreement | None) -> str:
    if isinstance(found, Metrics):
        found = Agreement(found.prompts, found.pairs, found.pairwise_accuracy, found.pairwise_accuracy_95)
    if found is None:
        return "–"
    low, high = found.interval
    return f"{found.share:.3f}" + (f" [{low:.3f}, {high:.3f}]" if found.prompts > 1 else "")  # one has no spread


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_answers(evaluation: Evaluation, most: int) -> None:
    """Print a part's answers with true rank, predicted rank and reward, best-ranked first, below their prompts.

    Prompts are shown whole until `most` answers are reached. Texts are cut to the width, numbers stand before them:

        Name a prime number
           1          1   +1.021  7
    """
    say(f"\nRewards of the {evaluation.part} answers ({'unseen' if evaluation.unseen else 'seen'} prompts)\n")
    say(f"true  predicted\nrank       rank   reward  answer\n{'─' * width()}")
    shown = 0
    for ranking, values in by_ranking(evaluation.rankings, evaluation.rewards):
        if shown >= most:
            break
        _say_row("", _named(ranking))
        predicted = predicted_ranks(values)
        for i in np.argsort(ranking.ranks, kind="stable"):
            _say_row(f"{ranking.ranks[i]:4d}  {predicted[i]:9d}  {values[i]:+7.3f}  ", ranking.answers[i])
        shown += len(values)
    if left_out := len(evaluation.rewards) - shown:
        say(f"({left_out} more answers are in rewards.csv)")


def print_reversed(rankings: Sequence[Ranking], positions: Sequence[int]) -> None:
    """Warn of the rankings at `positions`, which look reversed."""
    if positions:
        found = [rankings[i] for i in positions]
        names = [name_of(*ranking.identity) for ranking in found]
        those = f"{len(found)} of {counted(len(rankings), 'ranking')} look{'s' if len(found) == 1 else ''} reversed"
        say(f"warning: {those} (1 must be the best answer): {name_some(names)}\n")


def print_disputes(rankings: Sequence[Ranking], rewards: np.ndarray, disputes: np.ndarray, most: int) -> None:
    """Print the `most` disputed rankings, each with the pair of answers that the model most wants the other way round.

    1.30  Name a prime number (group 'ann')
          [1] Bananas are yellow.
          [3] 7
    """
    order = "the answer that you ranked higher, then the one that the models prefer"
    say(f"Most disputed of {counted(len(rankings), 'ranking')} (most disputes are ordinary disagreement): {order}")
    parts = by_ranking(rankings, rewards)
    for i in np.argsort(-disputes, kind="stable")[:most]:
        ranking, values = parts[i]
        ranks = np.asarray(ranking.ranks)
        margins = np.where(ranks[:, None] < ranks, values[:, None] - values, np.inf)
        _say_row(f"{disputes[i]:7.2f}  ", _named(ranking))
        for k in np.unravel_index(margins.argmin(), margins.shape):
            _say_row(f"{'':9}[{ranking.ranks[k]}] ", ranking.answers[k])


def _named(ranking: Ranking) -> str:
    apart = named_apart(ranking.group, ranking.rater)
    return ranking.prompt + (f" ({apart})" if apart else "")


def _say_row(numbers: str, text: str) -> None:
    """Print numbers, which are always whole, and of the text as much as the rest of the line holds."""
    say(numbers + fitted(text, width() - len(numbers)), wrap=False)
