"""What is said at the end of a session: how much was done, and what the rankings tell about the person."""

from collections.abc import Sequence

from preference.console import say
from preference.ranking.again import Outcome
from preference.ranking.growing import GrowingModel
from preference.ranking.session import RankingSession, Session
from preference.wording import counted, name_some, shorten


def print_counts(session: Session, seconds: float) -> None:
    """Say how much was done, and how much is left."""
    counts = session.counts()
    rankings, left = max(session.confirmed, 0), counts.left + counts.skipped
    skipped = f" ({counts.skipped} skipped, to be shown again at the next start)" if counts.skipped else ""
    say(f"\n{counted(rankings, 'ranking')} in {seconds / 60:.1f} min; {counts.done} done, {left} left{skipped}")


def print_agreement(session: RankingSession) -> None:
    """Say how well the person agrees with themselves, and whether position mattered."""
    if not session.log.standing:
        return
    agreement = session.agreement()
    if agreement.rechecked:
        say(
            f"shown twice: {agreement.rechecked}; ranked identically: {agreement.exact};"
            f" agreement with yourself: Kendall tau {agreement.kendall_tau:.2f} (1 = always the same order)"
        )
    if agreement.rankings:
        line = (
            f"position: the answer shown first was ranked best in {agreement.first_position_best:.0%} of"
            f" {counted(agreement.rankings, 'ranking')} ({agreement.first_position_expected:.0%} by chance)"
        )
        if agreement.position_tau_95:
            low, high = agreement.position_tau_95
            mattered = "position mattered" if low > 0 or high < 0 else "no sign that position mattered"
            line += f"; {mattered} (tau {agreement.position_tau:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})"
        else:
            line += "; too few rankings to tell whether position mattered"
        say(line)


def print_growth(growing: GrowingModel) -> None:
    """Say how well the growing model did, and what it disputes; nothing where it was never tested."""
    if growing.found.get("all"):
        say(growing.in_words())
    if growing.disputes:
        say(f"worth a second look: {name_some(map(shorten, growing.disputes))}")


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Say how the new rankings compare with the earlier ones and with the models' orders."""
    if not outcomes:
        return
    changed = [outcome for outcome in outcomes if outcome.changed]
    sides = [outcome.side for outcome in changed]
    say(
        f"ranked again: {len(outcomes)}; unchanged {len(outcomes) - len(changed)}, nearer to the models' order {sides.count(1)},"
        f" nearer to the earlier one {sides.count(-1)}, halfway between {sides.count(0)}"
    )
    tau = sum(outcome.kendall_tau for outcome in outcomes) / len(outcomes)
    say(
        f"agreement with yourself: Kendall tau {tau:.2f} (1 = always the same order; on disputed rankings it is lower than on all)"
    )
