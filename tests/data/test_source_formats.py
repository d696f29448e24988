import pytest

from preference.data.source_formats import NoComparison, common_words, find_format, number, prompt_text, read_openhermes, read_pair


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
        ({"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "a"}]}, "identical answers"),
        ({"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "b"}]}, "answers to different prompts"),
    ],
)
def test_pairs_that_compare_nothing(record, why):
    with pytest.raises(NoComparison, match=why):
        read_pair(record)


def test_a_prompt_that_both_chats_repeat_is_the_prompt_once():
    user, blue, green = ({"role": role, "content": text} for role, text in (("user", "sky?"), ("assistant", "blue"), ("assistant", "green")))
    for prompt in ([user], "sky?", ""):
        compared = read_pair({"prompt": prompt, "chosen": [user, blue], "rejected": [user, green]})
        assert (compared.prompt, compared.answers) == ("sky?", ["blue", "green"])
    compared = read_pair({"prompt": "sky?", "chosen": [blue], "rejected": [green]})
    assert (compared.prompt, compared.answers) == ("sky?", ["blue", "green"])


def test_a_dialogue_as_a_prompt_waits_for_its_answer():
    assert prompt_text("\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: ") == "User: a\n\nAssistant: b\n\nUser: c"
    assert prompt_text("Human: a\n\nAssistant:") == "Human: a\n\nAssistant:"  # only the real marks count


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
    record = {"prompt": "p", "candidates_completions": ["a", "b", "c"], "ranks": ranks, "chosen": chosen, "rejected": rejected}
    assert read_openhermes(record).ranks == found


def test_numbers_may_be_written_as_texts_or_be_yes_and_no():
    assert [number({"n": value}, "n") for value in ("3", 2.5, True, 10**400, " 1e1 ")] == [3, 2.5, 1, 10**400, 10]


@pytest.mark.parametrize(
    "columns, name",
    [
        ("prompt answer rank response", "ranked answer"),
        ("prompt candidates_completions ranks chosen rejected", "ranked list"),
        ("prompt chosen rejected messages score_chosen score_rejected", "UltraFeedback pair"),
        ("context response1 response2 overall_preference chosen rejected", "HelpSteer3 preference"),
        ("prompt chosen rejected subset", "RewardBench row"),
        ("chosen rejected", "TRL preference pair"),
    ],
)
def test_the_format_that_says_most_is_chosen(columns, name):
    assert find_format(columns.split(), {}).name == name
