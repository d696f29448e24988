"""Ranking again what models dispute: generate_data.py --again."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from conftest import read_csv, run_script, write_rankings
from pseudo_terminal import Terminal, ranks_of, shown_answers

from preference.data.rankings import Ranking, named_apart, read_rankings
from preference.data.table_writing import format_rows
from preference.errors import InputError
from preference.evaluation.odds import review_csv
from preference.ranking.again import AgainSession, Outcome, read_review
from preference.ranking.store import RankingStore
from preference.wording import plain
from ranking.spreadsheets import SPREADSHEETS

ANSWERS = ["alpha", "beta", "gamma", "delta"]
AGAIN = ["generate_data.py", "--data", "my.csv", "--again", "review.csv"]


def write_review(
    folder, *, models=(4, 3, 2, 1), prompts=4, disputes=(0.5, 2.5, 0.0, 1.5), data="my.csv", name="review.csv"
) -> None:
    """Write rankings of `prompts` prompts, unless they are there, and a review of them; `models` are the models' ranks
    of `ANSWERS`."""
    if not (folder / data).exists():
        write_rankings(folder / data, [Ranking(f"p{i}", ANSWERS, [1, 2, 3, 4]) for i in range(prompts)])
    rows = read_csv(folder / data)
    lines = [",".join([*rows[0], "reward,predicted_rank,dispute"])]
    for i in sorted(range(prompts), key=lambda i: -disputes[i]):
        for row in rows:
            if row["prompt"] == f"p{i}":
                lines.append(
                    ",".join([*row.values(), "0.1", str(models[ANSWERS.index(row["answer"])]), str(disputes[i])])
                )
    (folder / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    write_review(tmp_path)
    return tmp_path


@pytest.fixture
def start_session(folder):
    """Return a function that starts a session over the review, after the one before has ended."""
    stores = []

    def start(**options) -> AgainSession:
        while stores:
            stores.pop().close()
        stores.append(RankingStore(folder / "my.csv", folder / "ranking_log.jsonl"))
        return AgainSession(read_review(folder / "review.csv"), stores[0], **{"seed": 1, **options})

    yield start
    for store in stores:
        store.close()


def rank_as(session, *best_first: str) -> None:
    session.confirm([best_first.index(answer) + 1 for answer in session.shown.answers])


def log_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "ranking_log.jsonl").read_text().splitlines()]


def test_what_was_ranked_again_after_the_models_order_was_seen_tells_nothing(start_session):
    session = start_session()
    rank_as(session, "delta", "gamma", "beta", "alpha")  # p1
    rank_as(session, "beta", "alpha", "gamma", "delta")  # p3
    assert [outcome.side for outcome in session.outcomes()] == [1, -1]
    session.undo()  # the screen has shown what the models say of p3
    rank_as(session, "delta", "gamma", "beta", "alpha")
    assert [outcome.side for outcome in session.outcomes()] == [1]
    assert session.counts().done == 2
    assert [outcome.side for outcome in start_session().outcomes()] == [1]


def test_the_whole_way_at_a_terminal(folder):
    before = (folder / "my.csv").read_text()
    terminal = Terminal(folder, "--data", "my.csv", "--again", "review.csv", "--seed", "44")
    terminal.wait_for("\n> ")
    screen = terminal.shown()
    assert "done 0 · left 3 · skipped 0" in screen and "p1" in screen  # p1 is disputed most, p2 not at all
    answers = shown_answers(folder, "p1")
    models, earlier = (
        [str(answers.index(answer) + 1) for answer in ANSWERS[::-1]],
        [str(answers.index(answer) + 1) for answer in ANSWERS],
    )
    terminal.type(" ".join([models[1], models[0], *models[2:]]))  # gamma delta beta alpha
    terminal.wait_for("or n to cancel: ")
    assert "models" not in terminal.raw and "earlier" not in terminal.raw and " ".join(earlier) not in terminal.raw
    terminal.type("")
    terminal.wait_for("saved")
    terminal.wait_for("Press Enter for the next one, or u to bring the earlier ranking back: ")
    now = f"{models[1]} {models[0]} {models[2]} {models[3]}"
    assert (
        f"earlier {' '.join(earlier)} · now {now} · models {' '.join(models)} · nearer to the models' order"
        in terminal.shown()
    )
    expected = {"gamma": 1, "delta": 2, "beta": 3, "alpha": 4}
    assert ranks_of(folder, "my.csv")["p1"] == expected
    terminal.type("")
    terminal.wait_for("p3")
    terminal.rank(
        " ".join(str(shown_answers(folder, "p3").index(answer) + 1) for answer in ANSWERS)
    )  # the same order again
    terminal.wait_for("· unchanged")
    terminal.wait_for("earlier ranking back: ")
    terminal.type("q")
    rest = terminal.summary()
    assert terminal.child.exitstatus == 0 and "2 rankings in" in rest and "2 done, 1 left" in rest
    assert (
        "ranked again: 2; unchanged 1, nearer to the models' order 1, nearer to the earlier one 0, halfway between 0"
        in rest
    )
    assert "review:" in rest and "train:" in rest
    rows = dict(zip(ANSWERS, ("4", "3", "1", "2"), strict=True))
    assert (folder / "my.csv").read_text() == "".join(
        f"p1,{line.split(',')[1]},{rows[line.split(',')[1]]}\n" if line.startswith("p1") else line
        for line in before.splitlines(keepends=True)
    )
    ranked = [event for event in log_of(folder) if event["event"] == "reranked"]
    assert [dict(zip(event["answers"], event["old_ranks"], strict=True)) for event in ranked] == [
        dict(zip(ANSWERS, range(1, 5), strict=True))
    ] * 2
    assert dict(zip(ranked[0]["answers"], ranked[0]["ranks"], strict=True)) == expected

    terminal = Terminal(
        folder, *shlex.split(rest.partition("continue: ")[2].partition(" review:")[0])[2:]
    )  # the next start, as it is told
    terminal.wait_for("\n> ")
    assert "done 2 · left 1" in terminal.shown() and "p0" in terminal.shown()
    terminal.type("u")  # p3
    terminal.wait_for("the earlier ranking is back; rank again, or s to leave it")
    terminal.wait_for("\n> ")
    terminal.type("u")  # p1, of the session before
    terminal.wait_for("done 0 · left 3")
    terminal.wait_for("\n> ")
    assert (folder / "my.csv").read_text() == before
    terminal.child.send("\x03")
    assert "0 done, 3 left" in terminal.summary() and terminal.child.exitstatus == 130


def test_each_time_in_another_order(start_session):
    orders = []
    for _ in range(4):
        session = start_session()
        orders.append(session.shown.answers)
        session.skip()
    assert all(one != other for one, other in zip(orders, orders[1:], strict=False))
    assert all(sorted(order) == sorted(ANSWERS) for order in orders)


def test_the_order_on_the_screen_does_not_depend_on_the_ranks(folder, start_session):
    first = start_session().shown.answers
    (folder / "ranking_log.jsonl").unlink()
    rows = (folder / "my.csv").read_text().splitlines()
    turned = [",".join([*line.split(",")[:2], str(5 - int(line.split(",")[2]))]) for line in rows[1:]]
    (folder / "my.csv").write_text("\n".join([rows[0], *turned[::-1]]) + "\n")
    write_review(folder)
    assert start_session().shown.answers == first


def test_what_is_done_skipped_and_kept_at_the_next_start(folder, start_session):
    session = start_session()
    rank_as(session, *ANSWERS)  # p1, unchanged
    session.skip()  # p3
    session.discard()  # p0
    assert session.current is None and (session.counts().done, session.counts().skipped) == (2, 1)
    session = start_session()
    assert [prompt for (prompt, *_), _ in session.queue] == ["p3"]
    before = (folder / "my.csv").read_bytes()
    rank_as(session, *ANSWERS[::-1])
    assert start_session().current is None
    write_review(folder)  # a review of the new rankings: nobody is asked a third time
    assert start_session().current is None and len(start_session().done) == 3
    session = start_session()
    session.undo()
    assert (folder / "my.csv").read_bytes() == before and session.shown.prompt == "p3"


def test_undo_of_a_ranking_of_another_review(folder, start_session):
    rank_as(start_session(), *ANSWERS[::-1])
    write_review(folder, disputes=(0.5, 0.0, 0.0, 0.0))
    session = start_session()
    assert session.undo() == "the earlier ranking of 'p1' is back" and session.shown.prompt == "p0"
    assert session.undo() == "no ranking was ranked again; there is nothing to undo"
    assert ranks_of(folder, "my.csv")["p1"]["alpha"] == 1


def test_rows_edited_after_they_were_ranked_again_are_not_brought_back(folder, start_session):
    session = start_session()
    rank_as(session, *ANSWERS[::-1])
    rank_as(session, *ANSWERS[::-1])
    path = folder / "my.csv"
    path.write_text(path.read_text().replace("p3,alpha,4", "p3,alpha,5"))
    before = path.read_text()
    assert session.undo() == f"not undone: the rows of 'p3' in {path} have been changed since"
    assert path.read_text() == before
    assert session.undo().startswith("the earlier ranking is back") and session.shown.prompt == "p1"  # the one before


def test_rows_that_are_gone_or_edited_since_the_review_are_not_shown(folder):
    rows = (folder / "my.csv").read_text().replace("p3,alpha", "p3,changed")
    (folder / "my.csv").write_text(
        "".join(line for line in rows.splitlines(keepends=True) if not line.startswith("p0"))
    )
    done = run_script(*AGAIN, cwd=folder, stdin="q\n")
    assert "skipped 1 ranking whose rows are gone ('p0')" in done.stdout
    assert "skipped 1 ranking edited since the review ('p3')" in done.stdout and "0 done, 1 left" in done.stdout


def test_rows_edited_while_they_are_on_the_screen_are_not_overwritten(folder, start_session):
    session = start_session()
    assert session.shown.prompt == "p1"
    path = folder / "my.csv"
    for changed in (
        path.read_text().replace("p1,alpha,1", "p1,alpha,2"),
        path.read_text().replace("p1,beta", "p1,new"),
        "prompt,answer,rank\n",
    ):
        path.write_text(changed)
        with pytest.raises(InputError, match="the rows of 'p1' have been changed since"):
            rank_as(session, *ANSWERS[::-1])
        assert path.read_text() == changed
    assert not [event for event in log_of(folder) if event["event"] == "reranked"]


def test_a_person_whose_rows_were_edited_meanwhile_is_told_how_to_go_on(folder):
    terminal = Terminal(folder, "--data", "my.csv", "--again", "review.csv")
    terminal.wait_for("\n> ")
    path = folder / "my.csv"
    path.write_text(path.read_text().replace("p1,alpha,1", "p1,alpha,2"))
    terminal.type("2 1 4 3")
    terminal.wait_for("or n to cancel: ")
    terminal.type("")
    terminal.wait_for("not saved: my.csv: the rows of 'p1' have been changed since; press s to continue")
    terminal.type("s")
    terminal.wait_for("skipped 1")
    terminal.wait_for("\n> ")
    assert "p3" in terminal.shown()
    terminal.type("q")
    assert "0 done, 3 left (1 skipped" in terminal.summary() and "p1,alpha,2" in path.read_text()


def test_further_columns_duplicates_gaps_and_groups_stay(tmp_path):
    text = (
        '\ufeffgroup,rank,note,answer,prompt\r\nann,1.0,"x, ""y""",alpha,p0\r\nann,3.0,,beta,p0\r\nbob,1,b,alpha,p0\r\n'
        "bob,2,,beta,p0\r\n"
        "ann,1.0,again,alpha,p0\r\n,7,,alpha,p1\r\n,9,,beta,p1\r\n"
    )
    (tmp_path / "my.csv").write_bytes(text.encode())
    lines = text.removeprefix("\ufeff").splitlines()
    reviewed = [f"{line},0,{1 + ('beta' in line)},1" for line in lines[1:]]
    (tmp_path / "review.csv").write_text("\n".join([lines[0] + ",reward,predicted_rank,dispute", *reviewed]))
    session = AgainSession(
        read_review(tmp_path / "review.csv"), RankingStore(tmp_path / "my.csv", tmp_path / "log.jsonl"), seed=1
    )
    assert [key[:2] for key, _ in session.queue] == [("p0", "ann"), ("p0", "bob"), ("p1", "")]
    assert named_apart(*session.shown.key[1:]) == "group 'ann'"
    rank_as(session, "beta", "alpha")
    assert (tmp_path / "my.csv").read_bytes().decode() == text.replace("ann,1.0", "ann,2").replace("ann,3.0", "ann,1")
    session.skip()
    rank_as(session, "alpha", "beta")  # the same order: the gap between 7 and 9 stays
    assert not session.outcomes()[-1].changed and b",7,,alpha,p1\r\n,9,,beta,p1" in (tmp_path / "my.csv").read_bytes()
    session.undo()
    session.undo()
    assert (tmp_path / "my.csv").read_bytes().decode() == text.replace("1.0", "1").replace("3.0", "3")
    session.store.close()


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_spreadsheets_are_ranked_again_in_place(tmp_path, name):
    """From the review that is written of them to the rows that change, and back."""
    text, (a_before, a_after, b_before, b_after), _ = SPREADSHEETS[name]
    path = tmp_path / "my.csv"
    path.write_bytes(text.encode())
    read = read_rankings(path)
    disputes = np.array([float(ranking.identity == ("p", "", "")) for ranking in read.rankings])
    rewards = np.arange(sum(len(ranking.answers) for ranking in read.rankings), dtype=np.float32)
    (tmp_path / "review.csv").write_bytes(review_csv(read.table, read.rankings, rewards, disputes))
    session = AgainSession(
        read_review(tmp_path / "review.csv"), RankingStore(path, tmp_path / "ranking_log.jsonl"), seed=1
    )
    assert not (session.missing or session.edited) and session.queue == [(("p", "", ""), False)]
    rank_as(session, "b;c", "a")
    again = text.replace(a_before, a_after).replace(b_before, b_after)
    assert path.read_bytes().decode() == again and session.current is None and len(session.outcomes()) == 1
    assert session.undo().startswith("the earlier ranking is back")
    session.store.close()
    assert read_rankings(path).rankings == read.rankings
    assert path.read_bytes().decode() == text or name.startswith("ranks")


def test_two_raters_of_one_prompt_are_ranked_again_apart(tmp_path):
    text = "prompt;answer;rank;Judge;group\np;a;1;ann;\np;b;2;ann;\np;a;1;bob;g\np;b;2;bob;g\n"
    (tmp_path / "my.csv").write_text(text)
    read = read_rankings(tmp_path / "my.csv")
    (tmp_path / "review.csv").write_bytes(
        review_csv(read.table, read.rankings, np.array([0, 1, 0, 1.0]), np.array([1.0, 2.0]))
    )
    terminal = Terminal(tmp_path, "--data", "my.csv", "--again", "review.csv")
    terminal.wait_for("\n> ")
    assert "skipped 0 · group 'g', rater 'bob'" in terminal.shown()
    terminal.type("s")
    terminal.wait_for("rater 'ann'")
    terminal.rank(" ".join(str(shown_answers(tmp_path, "p").index(answer) + 1) for answer in "ba"))
    terminal.wait_for("Press Enter to finish")
    terminal.type("")
    assert "1 done, 1 left (1 skipped" in terminal.summary()
    again = text.replace("a;1;ann", "a;2;ann").replace("b;2;ann", "b;1;ann")
    assert (tmp_path / "my.csv").read_text() == again
    done = run_script(*AGAIN, cwd=tmp_path, stdin="u\ns\nq\n")
    assert "done 0 · left 2" in done.stdout and (tmp_path / "my.csv").read_text() == text


def test_whose_order_a_new_ranking_is_nearer_to():
    for before, now, models, side in (
        ([1, 2, 3], [3, 2, 1], [3, 1, 2], 1),
        ([1, 2, 3], [2, 1, 3], [3, 2, 1], -1),
        ([1, 2], [1, 1], [2, 1], 0),
        ([1, 2, 3], [2, 1, 3], [3, 1, 2], 0),
    ):
        assert Outcome(before, now, models).side == side and Outcome(before, now, models).changed


def test_keys_that_need_other_answers_say_that_they_do_nothing(folder):
    before = (folder / "my.csv").read_bytes()
    done = run_script(*AGAIN, cwd=folder, stdin="w\ne 2\nr\ne\nx\nn\nx\n\n?\nq\n")
    assert done.stdout.count("These answers are in your CSV already, so w, e and r do nothing here.") == 4
    assert (
        "1 done, 2 left" in done.stdout and "x         keep your earlier ranking, and do not ask again" in done.stdout
    )
    assert (folder / "my.csv").read_bytes() == before


def test_the_commands_that_are_told(folder):
    (folder / "review.csv").rename(folder / "my 'own' review.csv")
    (folder / "-g.txt").write_text("Be \x1b[31mstrict.")
    arguments = [
        "--data",
        "my.csv",
        "--again",
        "my 'own' review.csv",
        "--log",
        "a log.jsonl",
        "--guidelines=-g.txt",
        "--seed",
        "7",
    ]
    done = run_script("generate_data.py", *arguments, cwd=folder, stdin="?\n4 3 2 1\n\nq\n")
    assert "Be ␛[31mstrict." in done.stdout
    told = {
        line.partition(":")[0]: shlex.split(line.partition(":")[2])[2:]
        for line in done.stdout.splitlines()
        if ":  " in line
    }
    assert told["continue"] == arguments
    assert told["review"] == ["--data", "my.csv", "--output", "my 'own' review.csv", "--log", "a log.jsonl"] and told[
        "train"
    ] == ["--data", "my.csv"]
    done = run_script("generate_data.py", *told["continue"], cwd=folder, stdin="4 3 2 1\n\n\n4 3 2 1\n\n\n")
    assert "3 done, 0 left" in done.stdout and "continue:" not in done.stdout
    done = run_script("generate_data.py", *told["continue"], cwd=folder, stdin="")
    assert done.stdout.startswith(
        "my 'own' review.csv: you have been through all 3 disputed rankings. For a new review:\n  python "
    )


def test_what_does_not_go_with_again(folder):
    for flags, others in ((["--prompts", "p.txt"], "--prompts"),
                          (["--recheck", "0.1", "--generate-only"], "--recheck and --generate-only"),
                          (["--candidates", "c.jsonl"], "--candidates")):  # fmt: skip
        done = run_script(*AGAIN, *flags, cwd=folder, status=2)
        assert done.stderr == f"error: --again shows rankings of --data again; leave out {others}\n"


def test_wrong_files(folder):
    def refused(data="my.csv", again="review.csv") -> str:
        return run_script(
            "generate_data.py", "--data", data, "--again", again, cwd=folder, status=2
        ).stderr.removeprefix("error: ")

    before = sorted(folder.iterdir())
    assert refused(data="none.csv") == "none.csv: no such file; --again needs the rankings that were reviewed\n"
    assert refused(again="none.csv") == "none.csv: no such file; review_rankings.py writes one\n"
    assert refused(again="my.csv").startswith("my.csv:1: no column 'predicted_rank' in the header")
    write_rankings(folder / "other.csv", [Ranking("another prompt", ["a", "b"], [1, 2])])
    assert "other.csv:1: no column 'predicted_rank' in the header" in refused(again="other.csv")
    assert (
        refused(data="other.csv")
        == "other.csv: has none of the rankings of this review; give --data the CSV that was reviewed\n"
    )
    whole = (folder / "review.csv").read_text()
    for wrong, column in (
        (",first,2.5", "predicted_rank"),
        (",4,nan", "dispute"),
        (",4,-1", "dispute"),
        (",4,", "dispute"),
    ):
        (folder / "review.csv").write_text(whole.replace(",4,2.5", wrong, 1))
        value = wrong.split(",")[1 if column == "predicted_rank" else 2]
        assert refused() == f"review.csv:2: {column} must be a number, not '{value}'; run review_rankings.py again\n"
    assert sorted(folder.iterdir()) == sorted([*before, folder / "other.csv"])


def test_nothing_is_disputed(folder):
    write_review(folder, disputes=(0, 0, 0, 0))
    done = run_script(*AGAIN, cwd=folder)
    assert done.stdout.startswith("review.csv: no ranking to show again. For a new review:\n  python ")


@pytest.mark.parametrize("undone", [False, True])
def test_nothing_is_completed_at_the_next_start(folder, start_session, undone):
    """What a person put back by hand after the last step stays, however the session ended."""
    session = start_session()
    before = (folder / "my.csv").read_bytes()
    rank_as(session, *ANSWERS[::-1])
    if undone:
        before = (folder / "my.csv").read_bytes()
        session.undo()
    session.store._lock.close()  # as the system does when the process dies
    (folder / "my.csv").write_bytes(before)
    RankingStore(folder / "my.csv", folder / "ranking_log.jsonl").close()
    assert (folder / "my.csv").read_bytes() == before


def test_a_new_ranking_is_what_the_trainer_reads(folder, start_session):
    rank_as(start_session(), *ANSWERS[::-1])
    assert read_rankings(folder / "my.csv").rankings[1] == Ranking("p1", ANSWERS, [4, 3, 2, 1])


def test_undo_of_an_ordinary_ranking_leaves_rows_that_were_ranked_again(tmp_path):
    write_review(tmp_path)
    (tmp_path / "c.jsonl").write_text(json.dumps({"prompt": "p9", "answers": ANSWERS}) + "\n")
    run_script(
        "generate_data.py", "--candidates", "c.jsonl", "--data", "my.csv", cwd=tmp_path, stdin="1 2 3 4\n\nu\nq\n"
    )
    assert "p9" not in ranks_of(tmp_path, "my.csv")
    run_script(*AGAIN, cwd=tmp_path, stdin="1 2 3 4\n\nq\n")
    again = (tmp_path / "my.csv").read_bytes()
    done = run_script("generate_data.py", "--candidates", "c.jsonl", "--data", "my.csv", cwd=tmp_path, stdin="u\nq\n")
    assert "there is nothing to undo" in done.stdout and (tmp_path / "my.csv").read_bytes() == again


def test_foreign_texts_and_names_are_harmless(tmp_path):
    hostile = "\x1b[31mred\x1b]0;title\x07\u202e"
    answers, ranks = [f"a{hostile}", f"b{hostile}"], [1, 2]
    names = {"--data": "-my\x1b[31m.csv", "--again": "-a\nb \x1b[31m'.csv"}
    rankings = [Ranking(f"p{hostile}", answers, ranks, f"g{hostile}"), Ranking(f"q{hostile}", answers, ranks)]
    write_rankings(tmp_path / names["--data"], rankings)
    rows = [[r.prompt, answer, rank, r.group, 0.1, 3 - rank, 1.0]
            for r in [*rankings, Ranking(f"r{hostile}", answers, ranks)]
            for answer, rank in zip(r.answers, r.ranks, strict=True)]  # fmt: skip
    header = ["prompt", "answer", "rank", "group", "reward", "predicted_rank", "dispute"]
    (tmp_path / names["--again"]).write_bytes(format_rows([header, *rows]).encode())
    flags = [*(f"{flag}={name}" for flag, name in names.items()), "--seed", "1"]  # with which 2 1 is another order
    done = run_script("generate_data.py", *flags, cwd=tmp_path, stdin="v\nv 1\n2 1\n\n\nq\n")
    assert "skipped 1 ranking whose rows are gone" in done.stdout and "1 done, 1 left" in done.stdout
    assert "· group 'g" in done.stdout
    printed = done.stdout
    path = tmp_path / names["--data"]
    path.write_text(path.read_text().replace(f"q{hostile},b", f"q{hostile},changed"))
    printed += run_script("generate_data.py", *flags, cwd=tmp_path, stdin="u\nq\n").stdout
    assert "skipped 1 ranking edited since the review" in printed
    assert (
        not {character for character in printed if ord(character) < 32 and character != "\n"}
        and "\u202e" not in printed
    )
    told = dict(
        re.findall(r"^(\w+): +(python .*?)\n(?=\w+:  |$)", done.stdout, re.M | re.S)
    )  # a name may hold a line end
    show = "import json, sys; print(json.dumps(sys.argv[2:]))"
    for word, expected in (("continue", flags), ("review", [flags[0], flags[1].replace("--again", "--output")])):
        command = told[word].replace("python ", f"{shlex.join([sys.executable, '-c', show])} ", 1)
        shell = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert json.loads(shell.stdout) == list(map(plain, expected))


def test_top_shows_only_the_most_disputed(folder):
    done = run_script(*AGAIN, "--top", 2, cwd=folder, stdin="4 3 2 1\n\nq\n")
    assert "done 0 · left 2" in done.stdout and "1 done, 1 left" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("continue:")]
    done = run_script("generate_data.py", *shlex.split(line)[3:], cwd=folder, stdin="s\n")
    assert "done 1 · left 1" in done.stdout and "p3" in done.stdout and "p0" not in done.stdout
    assert run_script("generate_data.py", "--top", 2, cwd=folder, status=2).stderr == (
        "error: --top 2: says how many rankings --again shows; also give --again REVIEW\n"
    )


def test_every_key_gets_an_answer_and_x_is_undone(folder):
    typed = ["x", "n", "x", "", "u", "x", "", "2 1 3 4", "", "x", "w", "", "q"]
    done = run_script(*AGAIN, cwd=folder, stdin="\n".join(typed) + "\n")
    for answer in ("nothing is decided; rank it, or s to skip it",
                   "your earlier ranking is kept; u takes that back",
                   "the earlier ranking is back; rank again, or s to leave it"):  # fmt: skip
        assert answer in done.stdout
    assert done.stdout.count("Your new ranking is saved: Enter shows the next one") == 2
    assert "2 done, 1 left" in done.stdout and "ranked again: 1;" in done.stdout
    assert "1 done, 2 left" in run_script(*AGAIN, cwd=folder, stdin="u\nq\n").stdout  # the new ranking
    assert "0 done, 3 left" in run_script(*AGAIN, cwd=folder, stdin="u\nq\n").stdout  # what was kept
