import subprocess
import sys
import textwrap

import pytest
from conftest import run_script
from pseudo_terminal import PROMPTS, SCRIPT, Terminal, prompts_and_answers, ranks_of, shown_answers, write_candidates

folder = pytest.fixture(prompts_and_answers)


def test_what_the_screen_shows(folder):
    terminal = Terminal(folder)
    terminal.wait_for("\n> ")
    terminal.type("1 3 4 2")
    terminal.wait_for("or n to cancel: ")
    screen = terminal.shown()
    assert "done 0 · left 6 · skipped 0" in screen
    assert "Prompt number 0" in screen and "╭─  4  ─" in screen
    answers = shown_answers(folder, PROMPTS[0])
    assert [line.strip() for line in screen.splitlines() if line.startswith("  rank ")] == [
        f"rank {rank}: [{number}] {answers[number - 1]}" for rank, number in enumerate((1, 3, 4, 2), 1)
    ]
    terminal.type("")
    terminal.wait_for("\n> ")
    screen = terminal.shown()
    assert "done 1 · left 5 · skipped 0" in screen and "per prompt (median) · about" in screen
    assert "Prompt number 0" not in screen  # one prompt at a time
    terminal.type("q")
    terminal.rest()


@pytest.mark.parametrize("columns", [40, 60, 120, 200])
def test_boxes_wrap_to_the_width(folder, columns):
    write_candidates(folder, ["p " * 100], ["word " * 60, "字" * 90, "x" * 300])
    terminal = Terminal(folder, columns=columns)
    terminal.wait_for("\n> ")
    lines = terminal.shown().splitlines()
    tops = [line for line in lines if line.startswith("╭")]
    assert len(tops) == 3 and {len(line) for line in tops} == {min(columns, 120)}
    wide = [sum(len(c) for c in line) for line in lines if line.startswith("│")]
    assert wide and max(wide) <= columns
    text = "".join(line.strip("│ ").replace(" ", "") for line in lines)
    assert text.count("word") == 60 and text.count("字") == 90 and "x" * 300 in text
    terminal.type("q")
    terminal.rest()


LONG = [" ".join(f"{word}{i}" for i in range(150)) for word in ("one", "two", "three", "four")]


def test_in_24_lines_the_answers_are_folded_and_the_prompt_is_above_the_input(folder):
    write_candidates(folder, ["Which of these is the best?", *PROMPTS], LONG)
    terminal = Terminal(folder, columns=80, lines=24)
    terminal.wait_for("\n> ")
    lines = terminal.shown().splitlines()
    assert len(lines) == 24 and lines[-1] == ">" and lines[-2] == "Which of these is the best?"
    assert lines[0].startswith("done 0 · left 7") and lines[1] == "Which of these is the best?"
    assert [line[:6] for line in lines if line.startswith("╭")] == [f"╭─  {number} " for number in range(1, 5)]
    bottoms = [line for line in lines if line.startswith("╰")]
    answers = shown_answers(folder, "Which of these is the best?")
    for number, (bottom, answer) in enumerate(zip(bottoms, answers, strict=True), 1):
        hidden = len(textwrap.wrap(answer, 76)) - sum(
            line[2:-2].split()[0] in answer.split() for line in lines if line.startswith("│")
        )
        assert hidden > 5 and bottom.startswith(f"╰─ … {hidden} more lines, v {number} shows it whole ─")
    terminal.type("v 2")
    seen = terminal.wait_for("\n> ")
    assert (
        " ".join("".join(line.strip("│ \r") + " " for line in seen.splitlines() if line.startswith("│")).split())
        == answers[1]
    )
    assert terminal.shown().splitlines()[-2] == "Which of these is the best?"
    terminal.type("")  # the whole screen again
    terminal.wait_for("\n> ")
    again = terminal.shown().splitlines()
    assert again[0].startswith("done 0 · left 7") and again[-2:] == lines[-2:]
    terminal.type("v 7")
    terminal.wait_for("v needs the number of an answer, 1 to 4, like v 2, or v all;")
    terminal.rank("4 3 2 1")
    terminal.wait_for("Prompt number 0")
    terminal.type("q")
    terminal.rest()
    assert ranks_of(folder)["Which of these is the best?"] == {
        answer: 4 - i for i, answer in enumerate(answers)
    }  # whole, not as folded


def test_a_long_prompt_is_shortened_above_and_below_folded_answers(folder):
    prompt = " ".join(f"ask{i}" for i in range(100))
    write_candidates(folder, [prompt], [*LONG[:2], "short", "also short"])
    terminal = Terminal(folder, columns=80, lines=24)
    terminal.wait_for("\n> ")
    lines = terminal.shown().splitlines()
    wrapped = textwrap.wrap(prompt, 80)
    assert lines[1:3] == wrapped[:2] and lines[3].endswith(" … v shows it whole") and lines[4].startswith("╭")
    assert (
        lines[-3] == wrapped[0]
        and lines[-2].endswith(" …")
        and wrapped[1].startswith(lines[-2][:-2])
        and lines[-1] == ">"
    )
    assert sum("more lines, v " in line for line in lines) == 2 and sum("short" in line for line in lines) == 2
    terminal.type("v")
    assert " ".join(terminal.wait_for("\n> ").split()[1:-1]) == prompt
    terminal.type("q")
    terminal.rest()


def test_what_fits_is_neither_folded_nor_repeated(folder):
    write_candidates(folder, ["Which?"], ["word " * 40] * 1 + ["a", "b", "c"])
    for lines, folded in ((19, False), (18, True)):  # counts, prompt, 3 + 3 lines, 4 x 2 of boxes, notice, input: 18
        terminal = Terminal(folder, columns=80, lines=lines - 1)
        terminal.wait_for("\n> ")
        assert terminal.shown().count("Which?") == 1 + folded
        assert terminal.shown().splitlines()[0].startswith("done 0")
        terminal.type("q")
        terminal.rest()


def test_nothing_is_folded_in_a_pipe(folder):
    write_candidates(folder, ["Which of these is the best?"], LONG)
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="v 2\n?\nq\n")
    text = " ".join(done.stdout.replace("│", " ").split())
    assert all(answer in text for answer in LONG) and "shows it whole" not in text.replace("show answer N whole", "")
    assert done.stdout.count("Which of these is the best?") == 1


HOSTILE = [
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "\x9b31m and \x85 and \x7f",
    "abc\u202edcba\u2066x\u200bhidden\U000e0041",
    "[bold red]markup[/bold red] [link=x]y[/link] :smile:",
    "back\b\b\b\bspace\rreturn",
]


def test_text_is_data(folder):
    write_candidates(folder, ["\x1b[41mprompt\u202e"], HOSTILE)
    terminal = Terminal(folder, TERM="dumb")
    raw = terminal.wait_for("\n> ")
    body = raw.replace("\r\n", "\n").replace("\x1b[?2004h", "")
    assert not [c for c in body if ord(c) < 0x20 and c != "\n"] and "\x1b" not in body
    assert not set(body) & set("\x7f\x85\x9b\u202e\u2066\u200b\U000e0041")
    for visible in ("␛[41mprompt\\u202e", "␛[2J␛[31mred␛]0;title␇", "\\x9b31m",
                    "abc\\u202edcba\\u2066x\\u200bhidden\\U000e0041",
                    "[bold red]markup[/bold red] [link=x]y[/link] :smile:", "␈␈␈␈space␍return"):  # fmt: skip
        assert visible in body
    terminal.type("1 2 3 4 5")
    understood = terminal.wait_for("or n to cancel: ")
    assert "\x1b[31m" not in understood and "\u202e" not in understood
    terminal.type("q")
    terminal.rest()


def test_no_colour_where_none_is_wanted(folder):
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = Terminal(folder, **environment)
        terminal.wait_for("\n> ")
        assert not any(f"\x1b[{code}" in terminal.raw for code in ("31", "32", "36", "1;36", "38"))
        assert "Prompt number 0" in terminal.raw
        terminal.type("q")
        terminal.rest()


@pytest.mark.parametrize("columns", [20, 30, 50])
def test_on_a_narrow_screen_no_word_is_lost_and_the_counts_take_one_line(folder, columns):
    words = [[f"{letter}{i}" for i in range(30)] for letter in "abcd"]
    write_candidates(folder, PROMPTS, [" ".join(some) for some in words])
    terminal = Terminal(folder, columns=columns, lines=120)
    terminal.rank("2 1 4 3")
    terminal.wait_for("Prompt number 1")
    terminal.wait_for("\n> ")
    lines = terminal.shown().splitlines()
    assert (
        lines[0].startswith("done 1 · left 5 · ") and lines[0].endswith("…") and lines[1].startswith("Prompt number 1")
    )
    shown = " ".join(line.strip("│ ") for line in lines if line.startswith("│")).split()
    assert sorted(shown) == sorted(word for some in words for word in some)
    terminal.type("q")
    terminal.rest()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8(folder, encoding):
    write_candidates(folder, PROMPTS, ["naïve", "日本", "plain", "…"])
    terminal = Terminal(folder, PYTHONIOENCODING=encoding)
    terminal.type("\xe9 2")  # sent as UTF-8
    terminal.wait_for("is not a ranking")
    terminal.type("v all")
    terminal.rank("1 2")
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    rest = terminal.summary()
    assert "1 done, 5 left" in rest and "Traceback" not in terminal.raw + rest
    assert set(ranks_of(folder)[PROMPTS[0]]) == {"naïve", "日本", "plain", "…"}


def test_input_that_is_not_text_in_a_pipe(folder):
    command = [sys.executable, SCRIPT, "--candidates", "c.jsonl"]
    done = subprocess.run(command, cwd=folder, input=b"\xff\nw\n\xff\n1 2 3 4\n\n", capture_output=True, check=True)
    text = " ".join(done.stdout.decode().split())
    assert "is not a ranking" in text and "the answer has half of a surrogate pair" in text and "1 done, 5 left" in text


def test_v_takes_all_and_any_number_of_digits(folder):
    done = run_script(
        "generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"v all\nv {'9' * 5000}\n{'9' * 5000}\nq\n"
    )
    assert done.stdout.count("╭─  3  ─") == 2 and "v needs the number of an answer, 1 to 4" in done.stdout
    assert "no answer 9; answers are numbered 1 to 4" in done.stdout
    write_candidates(folder, PROMPTS, [f"answer {i}" for i in range(12)])
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"1 {'9' * 5000}\nq\n")
    assert "answers are numbered 1 to 12" in done.stdout


def test_all_equal_and_the_best_of_many(folder):
    write_candidates(folder, PROMPTS, [f"answer {i}" for i in range(12)])
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="7 12\n\n=\n\n" + "q\n")
    assert (
        "rank 3 (tie): [1]" in done.stdout and "rank 1 (tie): [12]" in done.stdout and "2 done, 4 left" in done.stdout
    )
    first, second = (list(ranks.values()) for ranks in ranks_of(folder).values())
    assert sorted(first) == [1, 2] + [3] * 10 and second == [1] * 12
