"""What is pasted at the terminal: an answer of several lines at `w`, and nothing at any other question."""

import pytest
from pseudo_terminal import PROMPTS, Terminal, prompts_and_answers, ranks_of, shown_answers

folder = pytest.fixture(prompts_and_answers)

EMAIL = "Dear Ann,\n\n2\n\nu\n    indented\tby a tab\nq\nYours"


def paste(terminal: Terminal, text: str, *, marked: bool) -> None:
    """Send a text as a terminal does when it is pasted: its line ends as Enter, between marks where the terminal knows
    them."""
    keys = text.replace("\n", "\r")
    terminal.child.send(f"\x1b[200~{keys}\x1b[201~" if marked else keys)


@pytest.mark.parametrize("marked", [True, False])
def test_w_takes_what_is_pasted_as_one_answer(folder, marked):
    terminal = Terminal(folder)
    terminal.rank("2 1 4 3")
    terminal.wait_for("\n> ")
    rankings = ranks_of(folder)
    terminal.type("w")
    terminal.wait_for("empty cancels): ")
    paste(terminal, EMAIL, marked=marked)
    terminal.wait_for("Yours")
    terminal.child.send("\r")
    terminal.wait_for("u undoes this")
    assert ranks_of(folder) == rankings
    terminal.type("5 1")
    terminal.wait_for("or n to cancel: ")
    terminal.type("")
    terminal.wait_for("saved")
    terminal.type("q")
    terminal.rest()
    first, *others = shown_answers(folder, PROMPTS[1])
    assert ranks_of(folder)[PROMPTS[1]] == {EMAIL: 1, first: 2, **dict.fromkeys(others, 3)}


@pytest.mark.parametrize(
    "typed, question, marked",
    [
        (None, "\n> ", True),
        (None, "\n> ", False),
        ("2 1 4 3", "or n to cancel: ", False),
        ("x", "or n to keep it: ", True),
    ],
)
def test_what_is_pasted_at_another_question_does_nothing(folder, typed, question, marked):
    terminal = Terminal(folder)
    terminal.rank("1 2 3 4")
    terminal.wait_for("\n> ")
    before = (folder / "training_data.csv").read_bytes(), (folder / "ranking_log.jsonl").read_bytes()
    if typed:
        terminal.type(typed)
        terminal.wait_for(question)
    paste(terminal, "\n2\n\nu\nx\n\nq\n", marked=marked)
    if marked:
        terminal.child.send("\r")
    terminal.wait_for("it was ignored. Only w accepts")
    terminal.wait_for(question)
    assert ((folder / "training_data.csv").read_bytes(), (folder / "ranking_log.jsonl").read_bytes()) == before
    terminal.child.send("\x04")
    assert "1 done, 5 left" in terminal.summary()


def test_what_is_typed_before_the_next_question_is_not_taken_for_its_answer(folder):
    (folder / "editor.sh").write_text("echo edited > $1; echo editing; sleep 1")
    terminal = Terminal(folder, EDITOR="sh editor.sh")
    terminal.type("e 1")
    terminal.wait_for("editing")
    terminal.child.send("2 1 4 3\r\rq\r")
    terminal.wait_for("u undoes this")
    terminal.type("q")
    assert "0 done, 6 left" in terminal.summary()


def test_w_can_be_written_in_the_editor_and_taken_back(folder):
    (folder / "editor.sh").write_text("printf '  two\\nlines\\n' > $1")
    terminal = Terminal(folder, EDITOR="sh editor.sh")
    terminal.type("w")
    terminal.wait_for("empty cancels): ")
    terminal.type("e")
    terminal.wait_for("u undoes this")
    assert "│   two  " in terminal.shown() and "│ lines  " in terminal.shown()
    terminal.type("u")
    terminal.wait_for("the answers are as they were before")
    terminal.wait_for("\n> ")
    assert "╭─  5  ─" not in terminal.shown()
    terminal.type("u")
    terminal.wait_for("there is nothing to undo")
    terminal.type("q")
    terminal.rest()
