import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference.data.comparisons import common_turns
from preference.data.dialogues import Turn, Unreadable, as_text, as_turns, read_dialogue, read_messages

VALUES = settings(derandomize=True, database=None, deadline=None, max_examples=300)
PIECES = ["User: ", "Assistant: ", "System: ", "Tool: ", "\\", "\n\n", "\n", "a", " ", "User:", ": "]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
turns = st.builds(Turn, st.sampled_from(["user", "assistant", "system", "tool"]), texts).filter(
    lambda turn: turn.role != "system" or turn.text.strip()
)


@VALUES
@given(texts, st.sampled_from(["user", "assistant"]))
def test_any_text_comes_back_as_it_was(text, alone):
    assert as_text(as_turns(text, alone), alone) == text


@VALUES
@given(st.sampled_from(["user", "system"]), texts, st.lists(turns, max_size=4))
def test_any_chat_comes_back_as_it_was(role, text, more):
    chat = [Turn(role, text if text.strip() else "x"), *more]
    assert as_turns(as_text(chat)) == chat


@VALUES
@given(texts, st.lists(turns, max_size=4))
def test_any_answer_of_several_turns_comes_back_as_it_was(text, more):
    answer = [Turn("assistant", text), *more]
    assert as_turns(as_text(answer, "assistant"), "assistant") == answer


def test_many_labels_in_a_row_need_no_deep_recursion():
    text = "User: " * 20_000
    assert as_text(as_turns(text)) == text


@pytest.mark.parametrize(
    "chat, text",
    [
        ([("user", "Hi")], "Hi"),
        ([("system", "Be brief."), ("user", "Hi")], "System: Be brief.\n\nUser: Hi"),
        ([("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye")], "User: Hi\n\nAssistant: Yes?\n\nUser: Bye"),
        (
            [("user", "A play:\n\nUser: x"), ("assistant", "y"), ("user", "z")],
            "User: A play:\n\n\\User: x\n\nAssistant: y\n\nUser: z",
        ),
        ([("user", "User: x\n\nAssistant: y")], "\\User: x\n\nAssistant: y"),
        ([("user", "User: x")], "User: x"),  # one turn is no chat
        ([("user", "System: \n\nUser: x")], "System: \n\nUser: x"),  # no chat has an empty system message
    ],
)
def test_the_rule(chat, text):
    assert as_text([Turn(*turn) for turn in chat]) == text
    assert as_turns(text) == [Turn(*turn) for turn in chat]


def test_messages_of_others():
    assert read_messages([{"role": "system", "content": " "}, {"role": "user", "content": "a", "num_tokens": 1}]) == [
        Turn("user", "a")
    ]
    assert read_messages([{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]) == [
        Turn("user", "a"),
        Turn("assistant", "b"),
    ]
    assert read_messages({"from": "gpt", "value": "b"}) == [Turn("assistant", "b")]
    assert read_messages(
        [{"role": "USER", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    ) == [Turn("user", "a\n\nb")]
    assert read_messages([{"role": "assistant", "content": None}]) == [Turn("assistant", "")]


@pytest.mark.parametrize(
    "value, message",
    [
        ("text", "not a list of messages: 'text'; write"),
        ([], r"not a list of messages: '\[\]'; write"),
        (["text"], "not a message: 'text'; write"),
        ([{"role": "user"}], "not a message: .*; write"),
        ([{"role": "judge", "content": "a"}], "unknown role 'judge'; write one of system, "),
        ([{"role": "user", "content": [{"type": "image"}]}], "content that is not text: .*; leave the row out"),
        ([{"role": "user", "content": 5}], "content that is not text: '5'; leave the row out"),
    ],
)
def test_what_is_no_chat(value, message):
    with pytest.raises(Unreadable, match=message):
        read_messages(value)


def test_dialogues_as_one_text():
    chat = [Turn("user", "a\n\nb"), Turn("assistant", "c")]
    assert read_dialogue("\n\nHuman: a\n\nb\n\nAssistant: c ") == read_dialogue("Human: a\n\nb\nAssistant: c") == chat
    assert read_dialogue("a\n<extra_id_1>Assistant\nb\n<extra_id_1>User\nc") == [
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("user", "c"),
    ]
    assert (
        read_dialogue(
            "<|im_start|>system\n<|im_end|>\n<|im_start|>user\na\n\nb<|im_end|>\n<|im_start|>assistant\nc<|im_end|>"
        )
        == chat
    )
    for text in (
        "c#",
        "Human: a",
        "Assistant: a\n\nHuman: b",
        "As a Human: a\n\nAssistant: b",
        "<|im_start|>judge\na\n<|im_start|>assistant\nb",
    ):
        assert read_dialogue(text) is None


def test_the_common_beginning_leaves_each_chat_a_turn():
    a, b, c = Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")
    chats = (
        ([a, b], [a, c]),
        ([a, b], [a, b]),
        ([a, b], [a, b, c]),
        ([a], [b]),
        ([a, b, c], [a, c, c]),
        ([a, b], [a, c], [b, c]),
    )
    assert [common_turns(some) for some in chats] == [1, 1, 1, 0, 1, 0]
