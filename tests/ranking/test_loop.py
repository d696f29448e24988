import json
import sys

import pytest
from conftest import ROOT, read_csv, run_script
from pseudo_terminal import PROMPTS, Terminal, prompts_and_answers, ranks_of, shown_answers, write_candidates

from preference.ranking.loop import COMMANDS

folder = pytest.fixture(prompts_and_answers)


def test_a_whole_session(folder):
    terminal = Terminal(folder)
    terminal.rank("2 1 4 3")
    terminal.rank("2143")
    terminal.rank("2 1=4 3")
    terminal.rank("3")
    terminal.rank("1 2 3 4")
    terminal.rank("4321")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last step: ")
    terminal.type("u")
    terminal.rank("4321")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last step: ")
    terminal.type("")
    rest = terminal.summary()
    assert terminal.child.exitstatus == 0
    assert "6 rankings in" in rest and "6 done, 0 left" in rest
    assert f"train: python {ROOT / 'reward_model_trainer.py'}" in rest
    ranks = ranks_of(folder)
    assert list(ranks) == PROMPTS
    for prompt, expected in zip(
        PROMPTS, ([2, 1, 4, 3], [2, 1, 4, 3], [2, 1, 3, 2], [2, 2, 1, 2], [1, 2, 3, 4], [4, 3, 2, 1]), strict=True
    ):
        assert [ranks[prompt][answer] for answer in shown_answers(folder, prompt)] == expected
    assert not (folder / "training_data.csv.lock").exists()


def test_a_wrong_line_says_what_is_wrong_and_asks_again(folder):
    terminal = Terminal(folder, columns=120)
    for line, message in (
        ("best", "'best' is not a ranking: write the numbers best first, like 2 3 4 1, or ? for help"),
        ("2 1 4 5", "no answer 5; answers are numbered 1 to 4"),
        ("2 2 1 3", "answer 2 is listed twice; name an answer only once"),
        ("1 2=", "write '=' between two numbers that tie, like 1=2"),
        ("e 9", "e needs the number of an answer, 1 to 4, like e 2"),
    ):
        terminal.wait_for("> ")
        terminal.type(line)
        terminal.wait_for(message)
    terminal.wait_for("> ")
    terminal.type("2 1 4 3")
    terminal.wait_for("or n to cancel: ")
    terminal.type("n")
    terminal.wait_for("> ")
    assert not (folder / "training_data.csv").exists()
    terminal.type("2 1 4 3")
    terminal.wait_for("or n to cancel: ")
    terminal.type("4 3 2 1")  # a new ranking instead of Enter
    terminal.wait_for("or n to cancel: ")
    terminal.type("")
    terminal.wait_for("Prompt number 1")
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]
    terminal.type("q")
    terminal.rest()


def test_the_first_hint_ranks_as_many_answers_as_there_are(folder):
    for answers, hint in (("abc", "Type the numbers best first, like 2 3 1, or ? for help."),
                          ("ab", "Type the numbers best first, like 2 1, or ?"),
                          ("a", "A ranking needs two answers: write one with w, sample new ones with r, "
                                "or discard the prompt with x.")):  # fmt: skip
        write_candidates(folder, PROMPTS, answers)
        done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="q\n")
        assert hint in " ".join(done.stdout.split())


def test_one_answer_cannot_be_ranked_until_another_is_written(folder):
    write_candidates(folder, PROMPTS[:1], ["a"])
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="1\nw\nb\n2 1\n\n")
    assert "\n> A ranking needs two answers:" in done.stdout and "1 done, 0 left" in done.stdout
    assert ranks_of(folder) == {PROMPTS[0]: {"b": 1, "a": 2}}


def confirming(folder, typed: str) -> str:
    """What is printed when `typed` follows a ranking, at the question whether to save it."""
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"2 1 4 3\n{typed}")
    assert "is not a ranking" not in done.stdout
    return done.stdout


def test_keys_that_show_something_leave_the_ranking_to_be_saved(folder):
    for typed, shown in (
        ("?", "Longer is not better"),
        ("v 2", "╭─  2  ─"),
        ("v", "Prompt number"),
        ("v 9", "v needs the number of an answer"),
    ):
        printed = confirming(folder, f"{typed}\n\nq\n").partition("or n to cancel: ")[2]
        assert shown in printed and printed.count("or n to cancel: ") == 1 and "saved\n" in printed
    assert list(ranks_of(folder)) == PROMPTS[:4]


def test_keys_that_do_something_drop_the_ranking_that_was_not_saved(folder):
    assert "0 done, 6 left" in confirming(folder, "q\n")
    assert "0 done, 6 left (1 skipped" in confirming(folder, "s\nq\n")
    assert "╭─  5  ─" in confirming(folder, "w\nmy own answer\nq\n")
    assert "there is nothing to undo" not in confirming(folder, "u\nq\n")  # it takes back the ranking just typed
    assert "there is nothing to undo" in confirming(folder, "u\nu\nq\n")
    assert "0 done, 5 left" in confirming(folder, "x\n\nq\n")
    assert not (folder / "training_data.csv").exists()


def test_help_shows_the_keys_and_the_guidelines_or_ones_own(folder):
    terminal = Terminal(folder)
    terminal.wait_for("> ")
    terminal.type("?")
    terminal.wait_for("Longer is not better")
    for name, command in COMMANDS.items():
        terminal.wait_for(f"\n{name}")
        terminal.wait_for(command.help)
    terminal.wait_for("> ")
    terminal.type("q")
    terminal.rest()
    (folder / "own.txt").write_text("Be \x1b[31mstrict.\n")
    terminal = Terminal(folder, "--guidelines", "own.txt")
    terminal.wait_for("> ")
    terminal.type("?")
    assert "\x1b[31mstrict" not in terminal.wait_for("Be ␛[31mstrict.")
    terminal.type("q")
    terminal.rest()


def test_undo_across_restarts_skip_and_discard(folder):
    terminal = Terminal(folder)
    terminal.rank("1 2 3 4")
    terminal.rank("1 2 3 4")
    terminal.wait_for("> ")
    terminal.type("s")
    terminal.wait_for("Prompt number 3")
    terminal.wait_for("> ")
    terminal.type("x")
    terminal.wait_for("Press Enter to discard this prompt for good, or n to keep it: ")
    terminal.type("")
    terminal.wait_for("Prompt number 4")
    terminal.wait_for("the previous prompt is discarded; u brings it back")
    terminal.type("q")
    assert "2 done, 3 left (1 skipped, to be shown again at the next start)" in terminal.summary()
    assert list(ranks_of(folder)) == PROMPTS[:2]

    terminal = Terminal(folder)
    terminal.wait_for("Prompt number 2")  # the skipped one
    terminal.type("u")
    terminal.wait_for(PROMPTS[3])
    terminal.wait_for("the prompt that was discarded is back")
    terminal.type("s")
    for prompt in reversed(PROMPTS[:2]):
        terminal.type("u")
        terminal.wait_for(prompt)
        terminal.wait_for("undid the last ranking, ")
    assert ranks_of(folder) == {}
    terminal.rank("4 3 2 1")
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    terminal.rest()
    assert list(ranks_of(folder)) == PROMPTS[:1]
    events = [json.loads(line)["event"] for line in (folder / "ranking_log.jsonl").read_text().splitlines()]
    assert events.count("discarded") == 1 and events.count("undone") == 3


def test_what_was_undone_is_shown_as_it_was(folder):
    terminal = Terminal(folder)
    terminal.rank("2 1 4 3")
    terminal.wait_for(PROMPTS[1])
    earlier = ranks_of(folder)[PROMPTS[0]]
    terminal.wait_for("\n> ")
    terminal.type("u")
    terminal.wait_for("undid the last ranking, 2 1 4 3; rank it again")
    terminal.rank("2 1 4 3")
    terminal.wait_for(PROMPTS[1])
    assert ranks_of(folder)[PROMPTS[0]] == earlier
    terminal.type("q")
    terminal.rest()


def test_editing_and_writing_answers(folder):
    editor = folder / "editor.py"
    editor.write_text("import sys; open(sys.argv[1], 'w').write('edited text\\n')")
    terminal = Terminal(folder, EDITOR=f"{sys.executable} {editor}")
    terminal.wait_for("\n> ")
    before = shown_answers(folder, PROMPTS[0])
    terminal.type("e 2")
    terminal.wait_for("edited text")
    terminal.wait_for("> ")
    terminal.type("w")
    terminal.wait_for("empty cancels): ")
    terminal.type("my own answer")
    terminal.rank("5 2 1 3 4")
    assert "╭─  5  ─" in terminal.shown()
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    terminal.rest()
    assert ranks_of(folder)[PROMPTS[0]] == {
        "my own answer": 1,
        "edited text": 2,
        before[0]: 3,
        before[2]: 4,
        before[3]: 5,
    }


@pytest.mark.parametrize("text, what", [("a\0b", "a NUL character"), ("a\udc80", "half of a surrogate pair")])
def test_an_answer_that_no_csv_can_hold_is_not_taken(folder, monkeypatch, text, what):
    refused = f"the answer has {what}, which cannot be saved; nothing was changed"
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"w\n{text}\n2 1 4 3\n\n")
    assert refused in " ".join(done.stdout.split()) and "1 done, 5 left" in done.stdout
    editor = folder / "editor.py"
    editor.write_text(f"import sys; open(sys.argv[1], 'wb').write({text.encode('utf-8', 'replace')!r})")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="e 2\n2 1 4 3\n\n")
    assert (refused in " ".join(done.stdout.split())) == ("\0" in text) and "2 done, 4 left" in done.stdout


def test_an_answer_that_is_there_already_is_not_taken_twice(folder, monkeypatch):
    editor = folder / "editor.py"
    editor.write_text(
        "import sys; other = 'beta' if 'alpha' in open(sys.argv[1]).read() else 'alpha '; "
        "open(sys.argv[1], 'w').write(other)"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="w\n alpha \ne 1\nq\n")
    assert done.stdout.count("that answer is there already; nothing was changed") == 2


def test_a_pipe_works_line_by_line_with_the_same_messages(folder):
    done = run_script(
        "generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="2 1 4 9\n2 1 4 3\n\ns\n?\n1=2 3 4\n\n"
    )
    assert "no answer 9; answers are numbered 1 to 4" in done.stdout
    assert "Longer is not better" in done.stdout
    assert "\x1b" not in done.stdout and "2 done, 4 left (1 skipped" in done.stdout
    assert list(ranks_of(folder)) == [PROMPTS[0], PROMPTS[2]]


def test_recheck_reports_agreement(folder):
    write_candidates(folder, [f"Prompt {i}" for i in range(12)])
    terminal = Terminal(folder, "--recheck", "0.25")
    for _ in range(15):
        terminal.rank("1 2 3 4")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last step: ")
    terminal.type("")
    rest = terminal.summary()
    assert "15 rankings in" in rest
    assert "shown twice: 3 prompts; " in rest and "% of 18 pairs of answers in the same order (95 % interval " in rest
    assert len(read_csv(folder / "training_data.csv")) == 48


def test_the_last_ranking_of_all_can_be_undone_at_a_later_start(folder):
    write_candidates(folder, PROMPTS[:1])
    run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="1 2 3 4\n\n")
    terminal = Terminal(folder)
    terminal.wait_for("All prompts are ranked in training_data.csv or were discarded.")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last step: ")
    terminal.type("u")
    terminal.rank("4 3 2 1")
    terminal.wait_for("All done.")
    terminal.type("")
    terminal.rest()
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]
