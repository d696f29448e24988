"""Records shaped as the real data sets are, one example or more of each format, and what they say."""

import json

from preference.data.tables import kind_of, write_table

SKY = "What color is the sky?"
USER, BLUE, GREEN = ({"role": role, "content": text} for role, text in (("user", SKY), ("assistant", "It is blue."), ("assistant", "It is green.")))
FIRST_TURNS = [USER, {"role": "assistant", "content": "Blue."}, {"role": "user", "content": "And at night?"}]
NIGHT = "User: What color is the sky?\n\nAssistant: Blue.\n\nUser: And at night?"


def message(role: str, text: str) -> dict:
    return {"content": text, "role": role}


# name -> (records, what the CSV holds by prompt and group: answers from best to worst, the summary)
KNOWN: dict[str, tuple[list[dict], list[tuple], str]] = {
    "TRL, standard": (
        [{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}],
        [("The sky is", "", "blue.", "green.")],
        "read 1 TRL preference pair (standard)",
    ),
    "TRL, standard, implicit prompt": (
        [{"chosen": "The sky is blue.", "rejected": "The sky is black."}, {"chosen": "The cat sat.", "rejected": "The cats sat."}],
        [("The sky is", "", "blue.", "black."), ("The", "", "cat sat.", "cats sat.")],
        "read 2 TRL preference pairs (standard, implicit prompt)",
    ),
    "TRL, conversational": (
        [{"prompt": [USER], "chosen": [BLUE], "rejected": [GREEN]}, {"prompt": FIRST_TURNS, "chosen": [BLUE], "rejected": [GREEN]}],
        [(SKY, "", "It is blue.", "It is green."), (NIGHT, "", "It is blue.", "It is green.")],
        "read 2 TRL preference pairs (conversational)",
    ),
    "TRL, conversational, implicit prompt": (
        [{"chosen": [USER, BLUE], "rejected": [USER, GREEN]}, {"chosen": [*FIRST_TURNS, BLUE], "rejected": [*FIRST_TURNS, GREEN]}],
        [(SKY, "", "It is blue.", "It is green."), (NIGHT, "", "It is blue.", "It is green.")],
        "read 2 TRL preference pairs (conversational, implicit prompt)",
    ),
    "HH-RLHF": (
        [
            {"chosen": "\n\nHuman: Hi!\n\nAssistant: Hello.", "rejected": "\n\nHuman: Hi!\n\nAssistant: What?"},
            {
                "chosen": "\n\nHuman: a\n\nb\n\nAssistant: c\n\nHuman: d\n\nAssistant: e",
                "rejected": "\n\nHuman: a\n\nb\n\nAssistant: c\n\nHuman: d\n\nAssistant: f",
            },
        ],
        [("Hi!", "", "Hello.", "What?"), ("User: a\n\nb\n\nAssistant: c\n\nUser: d", "", "e", "f")],
        "read 2 HH-RLHF dialogue pairs",
    ),
    "HH-RLHF that parts early": (
        [
            {
                "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
                "rejected": "\n\nHuman: a\n\nAssistant: x",
            }
        ],
        [("a", "", "Assistant: b\n\nUser: c\n\nAssistant: d", "x")],
        "read 1 HH-RLHF dialogue pair",
    ),
    "HH-RLHF with the prompt apart": (
        [{"prompt": "\n\nHuman: Hi!\n\nAssistant:", "chosen": " Hello.", "rejected": " What?"}],
        [("Hi!", "", "Hello.", "What?")],
        "read 1 TRL preference pair (standard)",
    ),
    "UltraFeedback binarized": (
        [
            {
                "prompt": SKY, "prompt_id": "ab12", "chosen": [USER, BLUE], "rejected": [USER, GREEN], "messages": [USER, BLUE],
                "score_chosen": 8.5, "score_rejected": 3.0,
            },
            {
                "prompt": "p", "prompt_id": "ab13", "chosen": [message("user", "p"), message("assistant", "x")],
                "rejected": [message("user", "p"), message("assistant", "y")], "messages": [], "score_chosen": 7.0, "score_rejected": 7.0,
            },
        ],
        [(SKY, "", "It is blue.", "It is green.")],
        "read 2 UltraFeedback pairs (binarized)",
    ),
    "RewardBench": (
        [
            {
                "prompt": "p", "chosen": "a", "chosen_model": "gpt-4", "rejected": "b", "rejected_model": "llama", "subset": "alpacaeval-easy",
                "id": 0,
            }
        ],
        [("p", "", "a", "b")],
        "read 1 RewardBench row",
    ),
    "RewardBench 2": (
        [
            {
                "id": "1", "prompt": "Name a color", "chosen": ["red", "blue"], "rejected": ["seven", "x"], "num_correct": 2, "num_incorrect": 2,
                "total_completions": 4, "models": ["m"], "subset": "Ties", "additional_metadata": {"category": None, "index": 1.0},
            }
        ],
        [("Name a color", "", ("red", "blue"), ("seven", "x"))],
        "read 1 RewardBench 2 row",
    ),
    "HelpSteer3": (
        [
            {
                "domain": "general", "language": "english", "context": [message("user", "p")], "response1": "a", "response2": "b",
                "overall_preference": preference, "individual_preference": [{"score": -2, "reasoning": "", "feedback1": "", "feedback2": ""}],
            }
            for preference in (-2, 1, 0)
        ],
        [("p", "1", "a", "b"), ("p", "2", "b", "a")],
        "read 3 HelpSteer3 preferences",
    ),
    "LLaMA-Factory, alpaca": (
        [
            {"instruction": "Add.", "input": "1 + 1", "chosen": "2", "rejected": "3", "system": None, "history": None},
            {"instruction": "Go on.", "input": "", "chosen": "c", "rejected": "d", "system": "Be brief.", "history": [["a", "b"]]},
        ],
        [("Add.\n1 + 1", "", "2", "3"), ("System: Be brief.\n\nUser: a\n\nAssistant: b\n\nUser: Go on.", "", "c", "d")],
        "read 2 LLaMA-Factory pairs (alpaca)",
    ),
    "LLaMA-Factory, sharegpt": (
        [
            {
                "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"}],
                "chosen": {"from": "gpt", "value": "d"}, "rejected": {"from": "gpt", "value": "e"},
            }
        ],
        [("User: a\n\nAssistant: b\n\nUser: c", "", "d", "e")],
        "read 1 LLaMA-Factory pair (sharegpt)",
    ),
    "Nectar": (
        [
            {
                "prompt": "\n\nHuman: Hi!\n\nAssistant: ",
                "answers": [
                    {"answer": "a", "model": "gpt-4", "rank": 1.0},
                    {"answer": "b", "model": "llama", "rank": 3.0},
                    {"answer": "c", "model": "x", "rank": 3.0},
                ],
                "turns": 1, "num_responses": 3, "source": ["lmsys-chat-1m"], "good_natured": True,
            }
        ],
        [("Hi!", "", "a", ("b", "c"))],
        "read 1 ranked list (Nectar)",
    ),
    "OpenHermesPreferences, positions from best to worst": (
        [
            {
                "source": "s", "category": "c", "prompt": "p", "candidates_completions": ["a", "b", "c"], "candidate_policies": ["x", "y", "z"],
                "ranks": [1, 2, 0], "rank_str": "y > z > x", "chosen_policy": "y", "chosen": [message("user", "p"), message("assistant", "b")],
                "rejected_policy": "x", "rejected": [message("user", "p"), message("assistant", "a")],
            }
        ],
        [("p", "", "b", "c", "a")],
        "read 1 ranked list (OpenHermesPreferences)",
    ),
    "OpenHermesPreferences, a rank for each": (
        [{"prompt": "p", "candidates_completions": ["a", "b", "c"], "ranks": [2, 3, 1]}],
        [("p", "", "c", "a", "b")],
        "read 1 ranked list (OpenHermesPreferences)",
    ),
    "NeMo-RL": (
        [
            {
                "context": FIRST_TURNS,
                "completions": [{"rank": 1, "completion": [GREEN]}, {"rank": 0, "completion": [BLUE]}],
            }
        ],
        [(NIGHT, "", "It is blue.", "It is green.")],
        "read 1 ranked list (NeMo-RL)",
    ),
    "arena": (
        [
            {
                "question_id": "1", "model_a": "m", "model_b": "n", "winner": winner, "judge": judge, "conversation_a": [USER, BLUE],
                "conversation_b": [USER, GREEN], "turn": 1, "anony": True, "language": "English", "tstamp": 1.0,
            }
            for winner, judge in [("model_b", "user_1"), ("model_a", "user_2"), ("tie", "user_3"), ("tie (bothbad)", "user_4")]
        ],
        [(SKY, "user_1", "It is green.", "It is blue."), (SKY, "user_2", "It is blue.", "It is green.")],
        "read 4 arena votes",
    ),
    "arena of several turns, as JSON text": (
        [
            {
                "winner": "model_a",
                "conversation_a": json.dumps([*FIRST_TURNS, BLUE]),
                "conversation_b": json.dumps([USER, GREEN, FIRST_TURNS[2], GREEN]),
            }
        ],
        [(SKY, "", "Assistant: Blue.\n\nUser: And at night?\n\nAssistant: It is blue.",
          "Assistant: It is green.\n\nUser: And at night?\n\nAssistant: It is green.")],
        "read 1 arena vote",
    ),
    "labelled lists": (
        [{"query": "p", "docs": ["a", "b", "c"], "labels": [0, 1, 0]}],
        [("p", "", "b", ("a", "c"))],
        "read 1 labelled list (sentence-transformers)",
    ),
    "ranked answers": (
        [{"prompt": "p", "answer": answer, "rank": rank, "note": None} for answer, rank in (("a", 2), ("b", 1.0), ("c", 4))],
        [("p", "", "b", "a", "c")],
        "read 3 ranked answers",
    ),
}  # fmt: skip


SCORED = [
    {"prompt": prompt, "response": response, "helpfulness": score, "correctness": 4 - score, "coherence": 4, "complexity": 1, "verbosity": 1}
    for prompt, response, score in [
        ("c#", "a", 3), ("p\n<extra_id_1>Assistant\nq\n<extra_id_1>User\nr", "x", 4), ("c#", "b", 1), ("c#", "c", 3), ("lonely", "y", 2),
        ("p\n<extra_id_1>Assistant\nq\n<extra_id_1>User\nr", "z", 0), ("even", "s", 2), ("even", "t", 2), ("even", "", 2),
    ]
]  # fmt: skip


def write(path, records: list[dict]) -> None:
    write_table(path, kind_of(path), list(dict.fromkeys(name for record in records for name in record)), records)
