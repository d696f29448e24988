import pytest

from preference.data.candidates import Candidates
from preference.ranking.session import RankingSession
from preference.ranking.store import RankingFile, RankingLog


@pytest.fixture
def sit(tmp_path):
    """Return a function that starts a sitting over `count` prompts with four answers each."""
    files = []

    def start(count: int = 10, **options) -> RankingSession:
        while files:
            files.pop().close()
        files.append(RankingFile(tmp_path / "data.csv"))
        candidates = [Candidates(f"p{i}", [f"answer {i}{letter}" for letter in "abcd"]) for i in range(count)]
        return RankingSession(candidates, files[0], RankingLog(tmp_path / "log.jsonl", "data.csv"), **{"seed": 1, **options})

    yield start
    for file in files:
        file.close()


def rank_by(session, key) -> None:
    order = sorted(session.current.answers, key=key)
    session.confirm([order.index(answer) + 1 for answer in session.current.answers])


def test_the_order_on_the_screen_is_seeded_and_hides_which_was_sampled_first(sit):
    def orders(seed):
        session, seen = sit(40, seed=seed), []
        while session.current:
            seen.append(tuple(answer[-1] for answer in session.current.answers))
            session.skip()
        return seen

    assert orders(1) == orders(1) != orders(2)
    first = [order[0] for order in orders(1)]
    assert all(3 <= first.count(letter) <= 20 for letter in "abcd")


def test_a_later_sitting_continues_with_the_first_unranked(sit):
    session = sit()
    rank_by(session, str)
    session.skip()
    session.discard()
    rank_by(session, str)
    session = sit()
    assert [prompt for prompt, _ in session.queue] == ["p1", "p4", "p5", "p6", "p7", "p8", "p9"]
    assert (session.counts().done, session.counts().left, session.counts().skipped) == (2, 7, 0)


def test_undo_goes_back_through_sittings(sit):
    for _ in range(2):
        session = sit()
        rank_by(session, str)
    assert session.file.prompts() == {"p0", "p1"}
    session = sit()
    session.undo()
    assert session.current.prompt == "p1" and session.file.prompts() == {"p0"}
    session.undo()
    assert session.current.prompt == "p0" and session.file.prompts() == set()
    assert session.undo() == "there is no ranking to undo"
    rank_by(session, str)
    assert session.current.prompt == "p1"


def test_undo_leaves_what_was_changed_by_hand(sit, tmp_path):
    session = sit()
    rank_by(session, str)
    path = tmp_path / "data.csv"
    path.write_text(path.read_text().replace("answer 0a", "better"))
    before = path.read_text()
    assert session.undo() == f"not undone: the rows of 'p0' in {path} were changed since"
    assert path.read_text() == before and session.current.prompt == "p1"


def test_changed_answers_last_until_the_next_sitting(sit):
    session = sit()
    session.change(["one", "two"])
    assert sit().current.answers in (["one", "two"], ["two", "one"])


def test_new_answers_replace_the_sampled_ones_and_leave_ones_own(sit):
    session = sit(1)
    session.change([*session.current.answers[1:], "edited", "written"])
    assert session.resample(["new one", "new two"]) == 2
    assert session.current.answers == ["new one", "new two", "edited", "written"]
    session = sit(1)  # a later sitting still knows which is which
    assert session.resample(["newer", "written"]) == 2
    assert session.current.answers == ["newer", "written", "edited"]


def test_an_older_log_calls_the_sampled_answers_drawn(sit, tmp_path):
    session = sit(1)
    session.resample(["new one", "new two"])
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().replace('"sampled"', '"drawn"'))
    assert '"drawn": ["new one", "new two"]' in log.read_text()
    session = sit(1)
    assert session.resample(["newer"]) == 0 and session.current.answers == ["newer"]


def test_rechecks_are_the_asked_share_reshuffled_and_not_in_the_csv(sit, tmp_path):
    session, seen = sit(recheck=0.2), []
    while session.current:
        seen.append(session.current)
        rank_by(session, str)
    again = [shown for shown in seen if shown.recheck]
    assert len(seen) == 12 and len(again) == 2
    for shown in again:
        first = next(other for other in seen if other.prompt == shown.prompt)
        assert first.answers != shown.answers and sorted(first.answers) == sorted(shown.answers)
    assert (tmp_path / "data.csv").read_text().count("\n") == 41
    agreement = session.agreement()
    assert (agreement.rechecked, agreement.exact, agreement.kendall_tau) == (2, 2, pytest.approx(1))
    assert sit(recheck=0.2).current is None


def test_a_recheck_is_not_given_away_by_the_counts(sit):
    session = sit(recheck=0.1)
    lefts = []
    while session.current:
        lefts.append(session.counts().left)
        rank_by(session, str)
    assert lefts == list(range(len(lefts), 0, -1)) and len(lefts) == 11


def test_agreement_tells_a_consistent_person_from_one_who_follows_the_position(sit):
    session = sit(40, recheck=0.5)
    while session.current:
        rank_by(session, session.current.answers.index)  # whatever stands first is best
    follows = session.agreement()
    assert follows.first_position_best == 1 and follows.first_position_expected == 0.25
    assert follows.position_tau == pytest.approx(1) and follows.position_tau_95[0] > 0.9
    assert follows.kendall_tau < 0.6
