import json
import time

import pytest

from preference.data.candidates import read_candidates
from preference.data.table_writing import format_rows
from preference.evaluation.metrics import self_agreement
from preference.ranking.session import RankingSession
from preference.ranking.store import RankingStore


@pytest.fixture
def start_session(tmp_path):
    """Return a function that starts a session over `count` prompts with four answers each."""
    stores = []

    def start(count: int = 10, **options) -> RankingSession:
        while stores:
            stores.pop().close()
        stores.append(RankingStore(tmp_path / "data.csv", tmp_path / "log.jsonl"))
        candidates = {f"p{i}": [f"answer {i}{letter}" for letter in "abcd"] for i in range(count)}
        return RankingSession(candidates, stores[0], **{"seed": 1, **options})

    yield start
    for store in stores:
        store.close()


def rank_by(session, key) -> None:
    order = sorted(session.current.answers, key=key)
    session.confirm([order.index(answer) + 1 for answer in session.current.answers])


def test_the_order_on_the_screen_is_seeded_and_hides_which_was_sampled_first(start_session, tmp_path):
    def orders(seed):
        (tmp_path / "log.jsonl").unlink(missing_ok=True)
        session, seen = start_session(40, seed=seed), []
        while session.current:
            seen.append(tuple(answer[-1] for answer in session.current.answers))
            session.skip()
        return seen

    assert orders(1) == orders(1) != orders(2)
    first = [order[0] for order in orders(1)]
    assert all(3 <= first.count(letter) <= 20 for letter in "abcd")


def test_a_later_session_continues_with_the_first_unranked(start_session):
    session = start_session()
    rank_by(session, str)
    session.skip()
    session.discard()
    rank_by(session, str)
    session = start_session()
    assert [prompt for (prompt, *_), _ in session.queue] == ["p1", "p4", "p5", "p6", "p7", "p8", "p9"]
    assert (session.counts().done, session.counts().left, session.counts().skipped) == (2, 7, 0)


def test_undo_goes_back_through_sessions(start_session):
    for _ in range(2):
        session = start_session()
        rank_by(session, str)
    assert session.store.prompts() == {"p0", "p1"}
    session = start_session()
    session.undo()
    assert session.current.prompt == "p1" and session.store.prompts() == {"p0"}
    session.undo()
    assert session.current.prompt == "p0" and session.store.prompts() == set()
    assert session.undo() == "there is nothing to undo"
    rank_by(session, str)
    assert session.current.prompt == "p1"


def test_what_an_earlier_session_confirmed_is_not_taken_off_this_ones_count(start_session):
    rank_by(start_session(), str)
    session = start_session()
    session.undo()
    rank_by(session, str)
    rank_by(session, str)
    assert session.confirmed == 2
    session.undo()
    assert session.confirmed == 1


def test_undo_says_whether_there_is_another_change_to_take_back(start_session):
    session = start_session(1)
    before = session.current.answers
    session.change(["one", "two"])
    session.change(["one", "two", "three"])
    assert session.undo() == "the answers are as they were before; u takes back the change before that"
    assert session.undo() == "the answers are as they were before" and session.current.answers == before


def test_undo_leaves_what_was_changed_by_hand(start_session, tmp_path):
    session = start_session()
    rank_by(session, str)
    path = tmp_path / "data.csv"
    path.write_text(path.read_text().replace("answer 0a", "better"))
    before = path.read_text()
    assert session.undo() == f"not undone: the rows of 'p0' in {path} have been changed since"
    assert path.read_text() == before and session.current.prompt == "p1"


def test_changed_answers_last_until_the_next_session(start_session):
    session = start_session()
    session.change(["one", "two"])
    assert start_session().current.answers in (["one", "two"], ["two", "one"])


def test_new_answers_replace_the_sampled_ones_and_leave_ones_own(start_session):
    session = start_session(1)
    session.change([*session.current.answers[1:], "edited", "written"])
    assert session.resample(["new one", "new two"]) == 2
    assert session.current.answers == ["new one", "new two", "edited", "written"]
    session = start_session(1)  # a later session still knows which is which
    assert session.resample(["newer", "written"]) == 2
    assert session.current.answers == ["newer", "written", "edited"]


def test_rechecks_are_the_asked_share_reshuffled_and_not_in_the_csv(start_session, tmp_path):
    session, seen = start_session(recheck=0.2), []
    while session.current:
        seen.append(session.current)
        rank_by(session, str)
    again = [shown for shown in seen if shown.recheck]
    assert len(seen) == 12 and len(again) == 2
    for shown in again:
        first = next(other for other in seen if other.prompt == shown.prompt)
        assert first.answers != shown.answers and sorted(first.answers) == sorted(shown.answers)
    assert (tmp_path / "data.csv").read_text().count("\n") == 41
    agreement = self_agreement(session.log.shown_twice())
    assert (agreement.prompts, agreement.share) == (2, 1)
    assert start_session(recheck=0.2).current is None


def test_a_recheck_is_not_given_away_by_the_counts(start_session):
    session = start_session(recheck=0.1)
    lefts = []
    while session.current:
        lefts.append(session.counts().left)
        rank_by(session, str)
    assert lefts == list(range(len(lefts), 0, -1)) and len(lefts) == 11


@pytest.mark.parametrize("step", ["skip", "discard"])
def test_nothing_that_is_skipped_or_discarded_gives_a_second_showing_away(start_session, step):
    """What is left falls by one at each step, whether the prompt was to be shown twice or not; and the last one is a
    first showing."""
    session, lefts = start_session(20, recheck=0.5, seed=3), []
    for i in range(15):
        lefts.append(session.counts().left)
        if i % 3 == 0:
            getattr(session, step)()
        else:
            rank_by(session, str)
    assert lefts == list(range(30, 15, -1))


def test_the_last_showing_is_a_first_one(start_session):
    session = start_session(40, recheck=0.1, seed=4)
    while len(session.queue) > 1:
        rank_by(session, str)
    assert not session.current.recheck


def test_rechecks_that_were_left_out_come_at_a_later_start(start_session):
    session = start_session(10, recheck=0.5)
    while not any(event.recheck for event in session.log.standing):
        rank_by(session, str)
    left = session.counts().left
    session = start_session(10, recheck=0.5)
    assert session.counts().left == left
    while session.current:
        rank_by(session, str)
    assert sum(event.recheck for event in session.log.standing) == 5 and session.counts().done == 15
    session = start_session(10, recheck=1.0)  # asked for when all is ranked
    assert session.counts().left == 5 and session.current.recheck


def test_a_second_showing_that_was_discarded_comes_back_as_one(start_session, tmp_path):
    session = start_session(2, recheck=1.0)
    while not session.current.recheck:
        rank_by(session, str)
    before = (tmp_path / "data.csv").read_bytes()
    session.discard()
    assert session.undo() == "the prompt that was discarded is back" and session.current.recheck
    rank_by(session, str)
    assert (tmp_path / "data.csv").read_bytes() == before


@pytest.mark.faults
def test_ten_thousand_prompts_start_at_once_and_a_ranking_costs_no_more_after_nine_thousand(tmp_path):
    """Measured in processor time, so that a busy machine does not matter; the waits for the disk are the same for any
    file."""
    prompts = [f"Prompt {i}: " + "word " * 10 for i in range(10_000)]
    answers = ["answer " * 30 + letter for letter in "abcd"]
    (tmp_path / "c.jsonl").write_text(
        "".join(json.dumps({"prompt": prompt, "answers": answers}) + "\n" for prompt in prompts)
    )
    start = time.process_time()
    store = RankingStore(tmp_path / "data.csv", tmp_path / "log.jsonl")
    session = RankingSession(read_candidates(tmp_path / "c.jsonl"), store, seed=1)
    assert session.current and time.process_time() - start < 4

    def seconds_per_ranking() -> float:
        start = time.process_time()
        for _ in range(40):
            session.confirm([1, 2, 3, 4])
            assert session.current and session.counts().done
        return (time.process_time() - start) / 40

    few = seconds_per_ranking()
    store.close()
    rows = [[prompt.strip(), answer, rank] for prompt in prompts[40:9000] for rank, answer in enumerate(answers, 1)]
    with open(tmp_path / "data.csv", "a") as data, open(tmp_path / "log.jsonl", "a") as log:
        data.write(format_rows(rows))
        for prompt in prompts[40:9000]:
            event = {
                "event": "ranked",
                "data": "data.csv",
                "prompt": prompt.strip(),
                "answers": answers,
                "ranks": [1, 2, 3, 4],
            }
            log.write(json.dumps(event | {"seconds": 1.5, "recheck": False}) + "\n")
    start = time.process_time()
    store = RankingStore(tmp_path / "data.csv", tmp_path / "log.jsonl")
    session = RankingSession(read_candidates(tmp_path / "c.jsonl"), store, seed=1)
    assert session.current.prompt == prompts[9000].strip() and time.process_time() - start < 4
    many = seconds_per_ranking()
    start = time.process_time()
    for _ in range(4):
        assert session.undo().startswith("undid the last ranking, ")
    undoing = (time.process_time() - start) / 4
    store.close()
    print(f"processor ms per ranking: {few * 1e3:.2f}, after 9,000: {many * 1e3:.2f}; per u {undoing * 1e3:.2f}")
    assert many < 10 * few and undoing < 1000 * few  # reading the file anew costs about a hundred times as much
    assert store.prompts() == {prompt.strip() for prompt in prompts[:9036]}
