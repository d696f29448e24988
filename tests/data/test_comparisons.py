from collections import Counter

import pytest

from preference.data.answers import read_answers
from preference.data.comparisons import (
    Comparison,
    common_words,
    distinct_ranks,
    gather,
    ranking_of,
    read_comparisons,
)
from preference.data.rankings import Ranking, rankings_of
from preference.data.roles import Roles
from preference.data.tables import Table
from preference.errors import InputError

PAIRS = Roles(
    prompt=("prompt",), answers=("chosen",), rejected=("rejected",), how="chosen", layout="pairs", group="group"
)
USER, BLUE, GREEN = (
    {"role": role, "content": text} for role, text in (("user", "sky?"), ("assistant", "blue"), ("assistant", "green"))
)


def read(*records: dict, **named: str) -> list[Comparison]:
    table = Table("a.jsonl", "jsonl", list(records[0]), list(records), list(range(1, len(records) + 1)))
    return read_comparisons(table, named)[1]


def gathered(*said: tuple[str, str], group: str = "") -> tuple[list[Ranking], list[str]]:
    """Gather pairs, (prompt, "better worse letters")."""
    return gather(
        [Comparison(i, prompt, list(pair), [1, 2], group=group) for i, (prompt, pair) in enumerate(said)], PAIRS
    )


@pytest.mark.parametrize(
    "one, other, prompt",
    [
        ("The sky is blue.", "The sky is black.", "The sky is"),
        ("x is a", "x is b", "x is"),
        ("The cat sat", "The cats sat", "The"),  # no word is split, whichever text is the shorter
        ("The cats sat", "The cat sat", "The"),
        ("A b", "A b c", "A"),  # each text keeps a word
        ("A b ", "A b c", "A"),
        ("a\nb c", "a\nd", "a"),
        ("a b", "a b", "a"),
        ("abc", "abd", ""),
        ("", "a", ""),
    ],
)
def test_a_common_beginning_ends_between_words(one, other, prompt):
    assert one[: common_words(one, other)] == prompt == other[: common_words(other, one)]


@pytest.mark.parametrize(
    "record, why",
    [
        ({"chosen": "abc", "rejected": "abd"}, "no common beginning that could be the prompt"),
        ({"chosen": "a b", "rejected": "a b"}, "identical answers"),
        ({"prompt": "p", "chosen": " a", "rejected": "a\n"}, "identical answers"),
        (
            {"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "a"}]},
            "identical answers",
        ),
        (
            {"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "b"}]},
            "answers to different prompts",
        ),
        (
            {"chosen": [{"role": "system", "content": "s"}, USER, BLUE], "rejected": [USER, GREEN]},
            "answers to different prompts",
        ),
        (
            {"prompt": "p", "chosen": "a", "rejected": "b", "score_chosen": 1, "score_rejected": 2},
            "scores that contradict chosen and rejected",
        ),
        ({"prompt": "p", "response_a": "a", "response_b": "b", "winner": None}, "no vote"),
        ({"prompt": "p", "options": [{"id": 1, "text": "a"}], "accept": [], "answer": "accept"}, "no vote"),
    ],
)
def test_what_compares_nothing(record, why):
    assert [one.left_out for one in read(record)] == [why]


@pytest.mark.parametrize("prompt", [[USER], "sky?", "", None, [USER, {"role": "assistant", "content": ""}]])
def test_a_prompt_that_both_chats_repeat_is_the_prompt_once(prompt):
    (one,) = read({"prompt": prompt, "chosen": [USER, BLUE], "rejected": [USER, GREEN]})
    assert (one.prompt, one.answers, one.ranks) == ("sky?", ["blue", "green"], [1, 2])


@pytest.mark.parametrize(
    "chosen",
    [[{"role": "system", "content": "s"}, USER, BLUE], [{"role": "user", "content": "sky? "}, BLUE], [BLUE], "blue"],
)
def test_chats_that_begin_differently_answer_the_prompt_that_is_given(chosen):
    (one,) = read({"prompt": "sky?", "chosen": chosen, "rejected": [USER, GREEN]})
    assert (one.prompt, one.answers) == ("sky?", ["blue", "green"])


@pytest.mark.parametrize(
    "name",
    [
        "question",
        "query",
        "instruction",
        "input",
        "user_input",
        "post",
        "context",
        "User Query",
        "fields.prompt",
        "conversations",
        "text",
    ],
)
def test_a_column_that_could_be_the_prompt_is_the_prompt(name):
    (one,) = read({name: "Which?", "chosen": "It is a", "rejected": "It is b", "system": "Be brief."})
    assert (one.prompt, one.answers) == ("System: Be brief.\n\nUser: Which?", ["It is a", "It is b"])


def test_a_question_within_the_prompt_is_no_second_one():
    (one,) = read({"question": "Which?", "prompt": "Answer briefly: Which?", "chosen": "a", "rejected": "b"})
    assert one.prompt == "Answer briefly: Which?"


@pytest.mark.parametrize(
    "chosen",
    [
        "\n\nHuman: Hi!\n\nAssistant: I am a",
        "Human: Hi!\n\nAssistant: I am a",
        "Human: Hi!\nAssistant: I am a",
        "User: Hi!\n\nAssistant: I am a",
        "<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nI am a<|im_end|>",
        "<|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "I am a<|eot_id|>",
        "<|user|>\nHi!</s>\n<|assistant|>\nI am a</s>",
        "### Instruction:\nHi!\n\n### Response:\nI am a",
    ],
)
def test_the_prompt_of_two_dialogues_never_goes_into_the_answers(chosen):
    (one,) = read({"chosen": chosen, "rejected": chosen.replace("am a", "am b")})
    assert (one.prompt, one.answers) == ("Hi!", ["I am a", "I am b"])


@pytest.mark.parametrize("answer", ["[1, 2]", '["apple"]', '{"a": 1}', "Human: x", "[x]"])
@pytest.mark.parametrize("more", [{}, {"subset": "code"}])
def test_an_answer_that_is_code_stays_to_the_letter(answer, more):
    (one,) = read(
        {"prompt": "p", "chosen": answer, "rejected": answer.replace("1", "7") + " ", **more},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
    )[:1]
    assert one.answers[0] == answer


@pytest.mark.parametrize(
    "turn, answers", [(1, ["blue", "green"]), (2, ["Assistant: blue\n\nUser: sky?\n\nAssistant: green"] * 2)]
)
def test_a_turn_limits_what_was_judged(turn, answers):
    chats = [[USER, BLUE, USER, GREEN], [USER, GREEN, USER, GREEN]]
    (one,) = read({"conversation_a": chats[0], "conversation_b": chats[1], "winner": "model_a", "turn": turn})
    assert one.prompt == "sky?" and one.answers[0] == answers[0]


@pytest.mark.parametrize(
    "winner, ranks",
    [
        ("a", [1, 2]), ("B", [2, 1]), ("model_b", [2, 1]), ("response_a", [1, 2]), ("Response B", [2, 1]),
        ("second", [2, 1]), ("left", [1, 2]), ("A>B", [1, 2]), ("B>>A", [2, 1]), ("A < B", [2, 1]), ("A=B", [1, 1]),
        ("[[B>A]]", [2, 1]), ("tie", [1, 1]), ("tie (bothbad)", [1, 1]), ("both_bad", [1, 1]), ("bothbad", [1, 1]),
        ("Neither", [1, 1]), ("x", [1, 2]), ("y z", [2, 1]), ("llama", [2, 1]),
    ],
)  # fmt: skip
def test_ways_to_vote(winner, ranks):
    record = {
        "prompt": "p",
        "model_a": "gpt",
        "response_a": "x",
        "model_b": "llama",
        "response_b": "y z",
        "winner": winner,
    }
    assert [one.ranks for one in read(record)] == [ranks]


def test_a_list_that_is_none_after_many_that_are_is_an_error_with_its_place():
    records = [{"prompt": f"p {i}", "output": ["a", "b"]} for i in range(201)]
    records[200]["output"] = 5
    with pytest.raises(InputError, match=r"^a\.jsonl:201: 'output' is not a list: '5'; write a list"):
        read(*records)


def test_a_vote_for_nobody_known_is_an_error_with_its_place():
    with pytest.raises(
        InputError, match=r"^a\.jsonl:2: winner is 'me'; write one of a, b, tie, or say with --first which"
    ):
        read(*({"prompt": "p", "response_a": "x", "response_b": "y", "winner": winner} for winner in ("a", "me")))


@pytest.mark.parametrize(
    "ranks, chosen, rejected, found",
    [
        ([1, 2, 0], "b", "a", [2, 0, 1]),  # positions from best to worst
        ([1, 2, 0], "c", "b", [1, 2, 0]),  # a rank for each
        ([1, 2, 0], "x", "y", [1, 2, 0]),
        ([1, 0, 2], "b", "c", [1, 0, 2]),  # both are the same
        ([2, 3, 1], "c", "b", [2, 3, 1]),
        ([1, 1, 2], "a", "c", [1, 1, 2]),
    ],
)
def test_ranks_that_are_positions_are_told_by_chosen_and_rejected(ranks, chosen, rejected, found):
    record = {
        "prompt": "p",
        "candidates_completions": ["a", "b", "c"],
        "ranks": ranks,
        "chosen": chosen,
        "rejected": rejected,
    }
    assert [one.ranks for one in read(record)] == [found]


def test_answers_without_a_number_are_left_out_and_counted():
    rows = [
        {"prompt": "p", "answer": answer, "score": score}
        for answer, score in zip("abcde", ("4,5", "1/5", "", "N/A", None), strict=True)
    ]
    found = gather(read(*rows), Roles(answers=("answer",), how="score", layout="rows"))
    assert found == ([Ranking("p", ["a", "b"], [1, 2])], ["3 answers without a rank or score"])


def test_answers_to_be_scored_need_no_label():
    for record, layout in [
        ({"instruction": "p", "output": "a"}, "rows"),
        ({"prompt": "p", "responses": ["a", "b"]}, "lists"),
    ]:
        table = Table("a.jsonl", "jsonl", list(record), [record], [1])
        roles, (one,) = read_comparisons(table, labelled=False)
        assert (roles.layout, roles.how, one.prompt, one.answers[0], one.ranks[0]) == (layout, "", "p", "a", None)


PAIR = {"chosen": "c", "rejected": "d"}


def test_an_answer_without_a_rank_beside_a_pair_is_a_reference():
    row = {"prompt": "p", "answer": "the reference", **PAIR}
    (found,) = read_answers(Table("a.csv", "csv", list(row), [row], [2])).items
    assert (found.answers, found.ranks) == (["c", "d"], [1, 2])
    row = {"prompt": "p", "answer": "the reference", "response_a": "x", "response_b": "y", "winner": "b"}
    (found,) = read_answers(Table("a.csv", "csv", list(row), [row], [2])).items
    assert (found.answers, found.ranks) == (["x", "y"], [2, 1])


@pytest.mark.parametrize(
    "prompt, answer",
    [
        ("Human: Hi!\n\nAssistant:", "a"),
        ('["a", "b"]', '["c", "d"]'),
        ("p", '[{"role": "assistant", "content": "x"}]'),
        ("[{'role': 'user', 'content': 'Hi'}]", "['a']"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"question": "q"}, {"position": "5"}, {"Score": "x", "system": "s"}, PAIR])
@pytest.mark.parametrize("rank", [{}, {"Rank": "1"}])
def test_our_own_columns_are_taken_as_typed_whatever_they_hold_and_whatever_stands_beside_them(
    prompt, answer, more, rank
):
    rows = [{"Prompt": prompt, "answer": text, **(more if rank or more is not PAIR else {}), **rank}
            for text in (answer, "other")]  # fmt: skip
    rows[1] |= {name: "2" for name in rank}
    table = Table("a.csv", "csv", list(rows[0]), rows, [2, 3])
    answers = read_answers(table)
    assert [(item.prompt, item.answers) for item in answers.items] == [(prompt, [answer]), (prompt, ["other"])]
    if rank:
        assert [item.ranks for item in answers.items] == [[1], [2]]
        assert gather(read_comparisons(table)[1], answers.roles)[0] == rankings_of(table).rankings


def test_our_own_columns_within_a_record_are_read_too():
    rows = [{"prompt": "p", "answer": answer, "rank": rank} for rank, answer in enumerate("ab")]
    assert [one.ranks for one in read({"data": rows})] == [[0], [1]]


@pytest.mark.parametrize(
    "said, ranking",
    [
        (["ab", "ac", "bc"], ("abc", [1, 2, 3])),
        (["ab", "ac"], ("abc", [1, 2, 2])),
        (["ac", "bc"], ("acb", [1, 2, 1])),
        (["ab", "bc"], None),  # a with c is missing
        (["ab", "bc", "ca"], None),
        (["ab", "ba"], None),
        (["ab", "cd"], None),  # a with d is missing
    ],
)
def test_pairs_that_make_up_a_ranking_are_one(said, ranking):
    assert ranking_of([list(pair) for pair in said]) == (ranking and dict(zip(*ranking, strict=True)))
    assert len(gathered(*(("p", pair) for pair in said), group="g")[0]) == (1 if ranking else len(said))
    apart = gather(
        [Comparison(i, "p", list(pair), [1, 2]) for i, pair in enumerate(said)], Roles(how="chosen", layout="pairs")
    )
    assert len(apart[0]) == len(said)  # pairs of others stay pairs


def test_rankings_of_one_prompt_come_together_each_with_its_group():
    found = gathered(("p", "ab"), ("q", "cd"), (" p", "ba"), ("p", "ab"))
    rankings = [
        Ranking("p", ["a", "b"], [1, 2], "1"),
        Ranking("p", ["b", "a"], [1, 2], "2"),
        Ranking("q", ["c", "d"], [1, 2]),
    ]
    assert found == (rankings, ["1 with an exact duplicate"])


def test_the_rater_is_another_thing_than_the_group():
    said = [("ann", "", "ab"), ("ann", "", "bc"), ("bob", "", "ab"), ("ann", "1", "ca")]
    found = gather(
        [Comparison(i, "p", list(pair), [1, 2], who, group) for i, (who, group, pair) in enumerate(said)],
        Roles(layout="pairs"),
    )
    assert [(r.rater, r.group, "".join(r.answers)) for r in found[0]] == [
        ("ann", "2", "ab"),
        ("ann", "3", "bc"),
        ("bob", "", "ab"),
        ("ann", "1", "ca"),
    ]


def test_ranks_start_at_one_and_answers_stand_once():
    one = Comparison(0, "p", ["a ", "b", "a", "", "c", "d", "d"], [0.5, -3, 0.5, 1, 7, 1, 2], "ann")
    found = gather([one], Roles())
    rankings = [Ranking("p", ["a", "b", "c"], [2, 1, 3], "", "ann")]
    assert found == (rankings, ["1 with answers listed twice with different ranks"])


@pytest.mark.parametrize(
    "answers, ranks, why",
    [
        (["a", ""], [1, 2], "an empty text"),
        (["a", "b"], [1, 1], "only ties"),
        (["a"], [1], "only one answer"),
        (["a", "b"], [None, None], "no ranks"),
        (["a", "a"], [1, 2], "answers listed twice with different ranks"),
    ],
)
def test_ranks_that_compare_nothing(answers, ranks, why):
    left_out = Counter()
    assert distinct_ranks(list(zip(answers, ranks, strict=True)), left_out) == {} and left_out == {why: 1}


@pytest.mark.parametrize("record", [{"prompt": "p\0"}, {"rejected": "b\ud800"}, {"rater": "\0"}])
def test_what_no_csv_can_hold_is_refused(record):
    with pytest.raises(InputError, match="; remove it$"):
        read({"prompt": "p", "chosen": "a", "rejected": "b"} | record)
