"""Records shaped as the real data sets are, one example or more of each, and what they say."""

import json

from preference.data.table_writing import write_table

SKY = "What color is the sky?"
USER, BLUE, GREEN = (
    {"role": role, "content": text}
    for role, text in (("user", SKY), ("assistant", "It is blue."), ("assistant", "It is green."))
)
FIRST_TURNS = [USER, {"role": "assistant", "content": "Blue."}, {"role": "user", "content": "And at night?"}]
NIGHT = "User: What color is the sky?\n\nAssistant: Blue.\n\nUser: And at night?"


def message(role: str, text: str) -> dict:
    return {"content": text, "role": role}


# name -> (records, what the CSV holds by prompt and group, or rater: answers from best to worst)
KNOWN: dict[str, tuple[list[dict], list[tuple]]] = {
    "TRL, standard": (
        [{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}],
        [("The sky is", "", "blue.", "green.")],
    ),
    "TRL, standard, implicit prompt": (
        [{"chosen": "The sky is blue.", "rejected": "The sky is black."},
         {"chosen": "The cat sat.", "rejected": "The cats sat."}],
        [("The sky is", "", "blue.", "black."), ("The", "", "cat sat.", "cats sat.")],
    ),
    "TRL, conversational": (
        [{"prompt": [USER], "chosen": [BLUE], "rejected": [GREEN]},
         {"prompt": FIRST_TURNS, "chosen": [BLUE], "rejected": [GREEN]}],
        [(SKY, "", "It is blue.", "It is green."), (NIGHT, "", "It is blue.", "It is green.")],
    ),
    "TRL, conversational, implicit prompt": (
        [{"chosen": [USER, BLUE], "rejected": [USER, GREEN]},
         {"chosen": [*FIRST_TURNS, BLUE], "rejected": [*FIRST_TURNS, GREEN]}],
        [(SKY, "", "It is blue.", "It is green."), (NIGHT, "", "It is blue.", "It is green.")],
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
    ),
    "HH-RLHF that parts early": (
        [
            {
                "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
                "rejected": "\n\nHuman: a\n\nAssistant: x",
            }
        ],
        [("a", "", "Assistant: b\n\nUser: c\n\nAssistant: d", "x")],
    ),
    "HH-RLHF with the prompt apart": (
        [{"prompt": "\n\nHuman: Hi!\n\nAssistant:", "chosen": " Hello.", "rejected": " What?"}],
        [("Hi!", "", "Hello.", "What?")],
    ),
    "UltraFeedback binarized": (
        [
            {
                "prompt": SKY, "prompt_id": "ab12", "chosen": [USER, BLUE], "rejected": [USER, GREEN],
                "messages": [USER, BLUE], "score_chosen": 8.5, "score_rejected": 3.0,
            },
            {
                "prompt": "p", "prompt_id": "ab13", "chosen": [message("user", "p"), message("assistant", "x")],
                "rejected": [message("user", "p"), message("assistant", "y")], "messages": [], "score_chosen": 7.0,
                "score_rejected": 7.0,
            },
        ],
        [(SKY, "", "It is blue.", "It is green.")],
    ),
    "RewardBench": (
        [
            {
                "prompt": "p", "chosen": "a", "chosen_model": "gpt-4", "rejected": "b", "rejected_model": "llama",
                "subset": "alpacaeval-easy", "id": 0,
            }
        ],
        [("p", "", "a", "b")],
    ),
    "RewardBench 2": (
        [
            {
                "id": "1", "prompt": "Name a color", "chosen": ["red", "blue"], "rejected": ["seven", "x"],
                "num_correct": 2, "num_incorrect": 2, "total_completions": 4, "models": ["m"], "subset": "Ties",
                "additional_metadata": {"category": None, "index": 1.0},
            }
        ],
        [("Name a color", "", ("red", "blue"), ("seven", "x"))],
    ),
    "HelpSteer3": (
        [
            {
                "domain": "general", "language": "english", "context": [message("user", "p")], "response1": "a",
                "response2": "b", "overall_preference": preference,
                "individual_preference": [{"score": -2, "reasoning": "", "feedback1": "", "feedback2": ""}],
            }
            for preference in (-2, 1, 0)
        ],
        [("p", "1", "a", "b"), ("p", "2", "b", "a")],
    ),
    "LLaMA-Factory, alpaca": (
        [
            {"instruction": "Add.", "input": "1 + 1", "chosen": "2", "rejected": "3", "system": None, "history": None},
            {"instruction": "Go on.", "input": "", "chosen": "c", "rejected": "d", "system": "Be brief.",
             "history": [["a", "b"]]},
        ],
        [("Add.\n1 + 1", "", "2", "3"), ("System: Be brief.\n\nUser: a\n\nAssistant: b\n\nUser: Go on.", "", "c", "d")],
    ),
    "LLaMA-Factory, sharegpt": (
        [
            {
                "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
                                  {"from": "human", "value": "c"}],
                "chosen": {"from": "gpt", "value": "d"}, "rejected": {"from": "gpt", "value": "e"},
            }
        ],
        [("User: a\n\nAssistant: b\n\nUser: c", "", "d", "e")],
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
    ),
    "OpenHermesPreferences, positions from best to worst": (
        [
            {
                "source": "s", "category": "c", "prompt": "p", "candidates_completions": ["a", "b", "c"],
                "candidate_policies": ["x", "y", "z"], "ranks": [1, 2, 0], "rank_str": "y > z > x",
                "chosen_policy": "y", "chosen": [message("user", "p"), message("assistant", "b")],
                "rejected_policy": "x", "rejected": [message("user", "p"), message("assistant", "a")],
            }
        ],
        [("p", "", "b", "c", "a")],
    ),
    "OpenHermesPreferences, a rank for each": (
        [{"prompt": "p", "candidates_completions": ["a", "b", "c"], "ranks": [2, 3, 1]}],
        [("p", "", "c", "a", "b")],
    ),
    "NeMo-RL": (
        [
            {
                "context": FIRST_TURNS,
                "completions": [{"rank": 1, "completion": [GREEN]}, {"rank": 0, "completion": [BLUE]}],
            }
        ],
        [(NIGHT, "", "It is blue.", "It is green.")],
    ),
    "arena": (
        [
            {
                "question_id": "1", "model_a": "m", "model_b": "n", "winner": winner, "judge": judge,
                "conversation_a": [USER, BLUE],
                "conversation_b": [USER, GREEN], "turn": 1, "anony": True, "language": "English", "tstamp": 1.0,
            }
            for winner, judge in [("model_b", "user_1"), ("model_a", "user_2"), ("tie", "user_3"),
                                  ("tie (bothbad)", "user_4")]
        ],
        [(SKY, "user_1", "It is green.", "It is blue."), (SKY, "user_2", "It is blue.", "It is green.")],
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
    ),
    "labelled lists": (
        [{"query": "p", "docs": ["a", "b", "c"], "labels": [0, 1, 0]}],
        [("p", "", "b", ("a", "c"))],
    ),
    "ranked answers": (
        [{"prompt": "p", "answer": answer, "rank": rank, "note": None}
         for answer, rank in (("a", 2), ("b", 1.0), ("c", 4))],
        [("p", "", "b", "a", "c")],
    ),
    "PKU-SafeRLHF": (
        [
            {
                "prompt": "p", "response_0": "a", "response_1": "b", "prompt_source": "s", "response_0_source": "x y",
                "is_response_0_safe": True, "is_response_1_safe": False, "response_0_severity_level": 0,
                "better_response_id": 1, "safer_response_id": 0,
            }
        ],
        [("p", "", "b", "a")],
    ),
    "SHP": (
        [
            {
                "post_id": "x", "domain": "askx", "history": "How long?", "c_root_id_A": "a", "c_root_id_B": "b",
                "created_at_utc_A": 1, "created_at_utc_B": 2, "score_A": 3, "score_B": 12, "human_ref_A": "Long.",
                "human_ref_B": "Short.", "labels": 0, "score_ratio": 4.0,
            }
        ],
        [("How long?", "", "Short.", "Long.")],
    ),
    "HelpSteer2, preference": (
        [
            {
                "split": "train", "prompt": "p", "response_1": "a", "response_2": "b", "preference_strength": strength,
                "preference_statement": "Response 1 is better", "preference_elaboration": "x y",
                "three_most_similar_preferences": [],
            }
            for strength in (1, 2, -3, 0)
        ],
        [("p", "1", "b", "a"), ("p", "2", "a", "b")],
    ),
    "AlpacaFarm": (
        [
            {"instruction": "Add.", "input": given, "output_1": "a", "output_2": "b", "preference": preference}
            for given, preference in (("", 2), ("1 + 1", 1), ("", 0))
        ],
        [("Add.", "", "b", "a"), ("Add.\n1 + 1", "", "a", "b")],
    ),
    "AlpacaEval": (
        [
            {
                "instruction": f"p{i}", "output_1": "a", "generator_1": "m", "dataset": "helpful_base", "output_2": "b",
                "generator_2": "n", "annotator": "gpt4", "preference": preference, "raw_completion": "x y",
            }
            for i, preference in enumerate((1.9, 1.0, 1.5, None))
        ],
        [("p0", "gpt4", "b", "a"), ("p1", "gpt4", "a", "b")],
    ),
    "the arena on Kaggle": (
        [
            {
                "id": i, "model_a": "m", "model_b": "n", "prompt": json.dumps(asked), "response_a": json.dumps(a),
                "response_b": json.dumps(b),
                "winner_model_a": int(won == "a"), "winner_model_b": int(won == "b"), "winner_tie": int(won == "tie"),
            }
            for i, (asked, a, b, won) in enumerate(
                [(["p"], ["x"], ["y"], "b"), (["p", "q"], ["x", "y"], ["x", "z"], "a"), (["r"], ["x"], ["y"], "tie")]
            )
        ],
        [("p", "", "y", "x"), ("User: p\n\nAssistant: x\n\nUser: q", "", "y", "z")],
    ),
    "Vertex": ([{"input_text": "p", "candidate_0": "a", "candidate_1": "b", "choice": 1}], [("p", "", "b", "a")]),
    "JudgeBench": (
        [
            {
                "pair_id": "1", "original_id": "2", "source": "mmlu", "question": f"q{i}", "response_model": "gpt-4o",
                "response_A": "a", "response_B": "b", "label": label,
            }
            for i, label in enumerate(("A>B", "B>A", "A=B"))
        ],
        [("q0", "", "a", "b"), ("q1", "", "b", "a")],
    ),
    "MT-Bench": (
        [
            {
                "question_id": 81, "model_a": "m", "model_b": "n", "winner": winner, "judge": "expert_3", "turn": turn,
                "conversation_a": [USER, BLUE, FIRST_TURNS[2], GREEN],
                "conversation_b": [USER, GREEN, FIRST_TURNS[2], GREEN],
            }
            for winner, turn in (("model_a", 1), ("tie (inconsistent)", 1))
        ],
        [(SKY, "expert_3", "It is blue.", "It is green.")],
    ),
    "ranked_responses": ([{"prompt": "p", "ranked_responses": ["a", "b", "c"]}], [("p", "", "a", "b", "c")]),
    "MedicalGPT": (
        [{"system": "", "history": [["x", "y"]], "question": "q", "response_chosen": "a", "response_rejected": "b"}],
        [("User: x\n\nAssistant: y\n\nUser: q", "", "a", "b")],
    ),
    "LLaMA-Factory before 2024": ([{"instruction": "p", "input": "", "output": ["a", "b"]}], [("p", "", "a", "b")]),
    "ms-swift": ([{"messages": [USER, BLUE], "rejected_response": "No idea."}], [(SKY, "", "It is blue.", "No idea.")]),
    "ms-swift, chats": ([{"messages": [USER, BLUE], "rejected_messages": [USER, GREEN]}],
                        [(SKY, "", "It is blue.", "It is green.")]),
    "OpenPipe": ([{"messages": [*FIRST_TURNS, BLUE], "rejected_message": GREEN}],
                 [(NIGHT, "", "It is blue.", "It is green.")]),
    "Argilla's UltraFeedback": (
        [
            {
                "source": "x y", "instruction": f"p{i}", "chosen_response": "a", "rejected_response": "b",
                "chosen_avg_rating": 4.5, "rejected_avg_rating": rating, "chosen_model": "m",
            }
            for i, rating in enumerate((4.0, 4.5, 5.0))
        ],
        [("p0", "", "a", "b")],
    ),
    "Stack Exchange, paired": ([{"qid": 1, "question": "q", "response_j": "a", "response_k": "b", "date": "x"}],
                               [("q", "", "a", "b")]),
    "triplets": ([{"anchor": "q", "positive": "a", "negative": "b"}], [("q", "", "a", "b")]),
    "triplets, several negatives": (
        [{"query": query, "positive": "a", "negative_1": "b", "negative_2": other}
         for query, other in (("q", "c"), ("r", None))],
        [("q", "", "a", ("b", "c")), ("r", "", "a", "b")],
    ),
    "wide tables": (
        [
            {"Prompt": "p", "Answer 1": "a", "Answer 2": "b", "Answer 3": "c", "Rank 1": 2, "Rank 2": 1, "Rank 3": 2},
            {"Prompt": "q", "Answer 1": "a", "Answer 2": "b", "Answer 3": "", "Rank 1": 2, "Rank 2": 1, "Rank 3": None},
        ],
        [("p", "", "b", ("a", "c")), ("q", "", "b", "a")],
    ),
    "a form that asks which": (
        [
            {"Timestamp": str(i), "Question": f"q{i}", "Answer A": "a", "Answer B": "b", "Which is better?": better}
            for i, better in enumerate(("Answer B", "A", "b", "Both are equally good"))
        ],
        [("q0", "", "b", "a"), ("q1", "", "a", "b"), ("q2", "", "b", "a")],
    ),
    "Google Forms": (
        [{"Email Address": who, "Name a prime. [7]": one, "Name a prime. [8]": two}
         for who, one, two in (("a@b", "1st", "2nd"), ("c@d", "2", "1"))],
        [("Name a prime.", "a@b", "7", "8"), ("Name a prime.", "c@d", "8", "7")],
    ),
    "sides": (
        [{"prompt": "p", "text1": "a", "text2": "b", "selected": "right"},
         {"prompt": "q", "text1": "a", "text2": "b", "selected": "left"}],
        [("p", "", "b", "a"), ("q", "", "a", "b")],
    ),
    "the winner's name, or its text": (
        [
            {"prompt": "p", "model_a": "gpt-4", "response_a": "a", "model_b": "llama", "response_b": "b",
             "winner": "llama"},
            {"prompt": "q", "model_a": "gpt-4", "response_a": "x y", "model_b": "llama", "response_b": "z",
             "winner": "x y"},
        ],
        [("p", "", "b", "a"), ("q", "", "x y", "z")],
    ),
    "unpaired": (
        [{"prompt": "p", "completion": answer, "label": label}
         for answer, label in (("a", False), ("b", True), ("c", True))],
        [("p", "", ("b", "c"), "a")],
    ),
}  # fmt: skip


# The same of records with objects within objects, which no CSV holds.
NESTED: dict[str, tuple[list[dict], list[tuple]]] = {
    "WebGPT": (
        [
            {
                "question": {"dataset": "eli5", "id": "q1", "full_text": "Why?"},
                "quotes_0": {"title": ["t"], "extract": ["e"]}, "answer_0": "a",
                "tokens_0": {"prefix": [1], "completion": [2]}, "score_0": -0.5, "answer_1": "b", "score_1": 0.5,
            }
        ],
        [("Why?", "", "b", "a")],
    ),
    "summarize-from-feedback": (
        [
            {
                "info": {"id": "t3", "post": "A long story.", "title": "Cat", "subreddit": "cats", "site": None},
                "summaries": [{"text": "a", "policy": "sup4", "note": None},
                              {"text": "b", "policy": "ref", "note": None}],
                "choice": 1, "worker": "w1", "batch": "b1", "split": "train", "extra": {"confidence": 7},
            }
        ],
        [("A long story.", "w1", "b", "a")],
    ),
    "UltraFeedback": (
        [
            {
                "source": "s", "instruction": "p", "models": ["m", "n"], "correct_answers": ["None"],
                "incorrect_answers": ["None"], "completions": [
                    {"model": "m", "response": "a", "overall_score": 2.0, "fine-grained_score": 3.0,
                     "annotations": {"honesty": {"Rating": "1"}}},
                    {"model": "n", "response": "b", "overall_score": 8.5, "fine-grained_score": 2.0,
                     "annotations": {"honesty": {"Rating": "5"}}},
                ],
            }
        ],
        [("p", "", "b", "a")],
    ),
    "GPT-4-LLM": (
        [{"user_input": "p", "responses_and_scores": [{"response": text, "score": score, "source": "m"}
                                                      for text, score in (("a", 2), ("b", 9))]}],
        [("p", "", "b", "a")],
    ),
    "Stack Exchange": (
        [
            {
                "qid": 1, "question": "q", "date": "x", "metadata": ["y"],
                "answers": [{"answer_id": i, "author": "m", "pm_score": i, "selected": False, "text": text}
                            for i, text in enumerate("abc")],
            }
        ],
        [("q", "", "c", "b", "a")],
    ),
    "OASST, messages": (
        [
            {"message_id": f"m{i}", "parent_id": parent, "text": text, "role": role, "lang": "en", "rank": rank,
             "message_tree_id": "m0"}
            for i, (parent, text, role, rank) in enumerate(
                [(None, "p", "prompter", None), ("m0", "a", "assistant", 1), ("m0", "b", "assistant", 0),
                 ("m2", "q", "prompter", None),
                 ("m3", "c", "assistant", 0), ("m3", "d", "assistant", 1), ("m0", "e", "assistant", None)]
            )
        ],
        [("p", "", "b", "a"), ("User: p\n\nAssistant: b\n\nUser: q", "", "c", "d")],
    ),
    "OASST, trees": (
        [
            {
                "message_tree_id": "m0",
                "prompt": {
                    "message_id": "m0", "text": "p", "role": "prompter",
                    "replies": [
                        {"message_id": "m1", "text": "a", "role": "assistant", "rank": 1, "replies": []},
                        {"message_id": "m2", "text": "b", "role": "assistant", "rank": 0, "replies": []},
                    ],
                },
            }
        ],
        [("p", "", "b", "a")],
    ),
    "OpenAI, Together, Fireworks": (
        [{"input": {"messages": FIRST_TURNS, "tools": [], "parallel_tool_calls": True}, "preferred_output": [BLUE],
          "non_preferred_output": [GREEN]}],
        [(NIGHT, "", "It is blue.", "It is green.")],
    ),
    "BGE": ([{"query": "q", "pos": ["a"], "neg": ["b", "c"]}], [("q", "", "a", ("b", "c"))]),
    "lists of rejected answers": ([{"instruction": "p", "input": "", "chosen": "a", "rejected": ["b", "c"]}],
                                  [("p", "", "a", ("b", "c"))]),
    "Argilla, ranking": (
        [
            {
                "id": "x", "status": "completed", "fields": {"prompt": "p", "response1": "a", "response2": "b"}, 
                "responses": {"preference": [
                    {"value": ["response2", "response1"], "user_id": "u1", "status": "submitted"},
                    {"value": ["response1", "response2"], "user_id": "u2", "status": "discarded"},
                ]},
            }
        ],
        [("p", "u1", "b", "a")],
    ),
    "Argilla, a column for each question": (
        [
            {
                "prompt": "p", "response-1": "a", "response-2": "b", "external_id": None, "metadata": "{}",
                "preference": [{"user_id": "u1", "value": {"rank": [2, 1], "value": ["response-1", "response-2"]},
                                "status": "submitted"}],
            }
        ],
        [("p", "u1", "b", "a")],
    ),
    "Argilla, data set on the Hub": (
        [
            {
                "id": "1", "prompt": "p", "response1": "a", "response2": "b",
                "better.responses": ["response2", "response1"],
                "better.responses.users": ["u1", "u2"], "better.responses.status": ["submitted", "submitted"],
            }
        ],
        [("p", "u1", "b", "a"), ("p", "u2", "a", "b")],
    ),
    "Label Studio, ranker": (
        [
            {
                "id": 1, "data": {"prompt": "p", "answers": [{"id": "x", "body": "a"}, {"id": "y", "body": "b"}]},
                "annotations": [
                    {"id": 9, "completed_by": who,
                     "result": [{"from_name": "rank", "type": "ranker", "value": {"ranker": {"rank": order}}}]}
                    for who, order in ((2, ["y", "x"]), (3, ["x", "y"]))
                ],
            }
        ],
        [("p", "2", "b", "a"), ("p", "3", "a", "b")],
    ),
    "Label Studio, pairwise": (
        [
            {
                "id": 1, "data": {"prompt": "p", "answer1": "a", "answer2": "b"},
                "annotations": [
                    {"completed_by": {"id": 1, "email": "a@b"},
                     "result": [{"from_name": "c", "type": "pairwise", "value": {"selected": "right"}}]},
                    {"completed_by": {"id": 2, "email": "c@d"}, "was_cancelled": True, "result": []},
                ],
            }
        ],
        [("p", "a@b", "b", "a")],
    ),
    "Prodigy": (
        [
            {
                "text": f"p{i}", "options": [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}], "accept": [2],
                "answer": answer, "_input_hash": 1, "_task_hash": 2, "_annotator_id": "ann",
            }
            for i, answer in enumerate(("accept", "ignore"))
        ],
        [("p0", "ann", "b", "a")],
    ),
    "a list in an object": ([{"data": [{"prompt": "p", "chosen": "a", "rejected": "b"}]}], [("p", "", "a", "b")]),
    "a table by its columns": (
        [{"prompt": {"0": "p", "1": "q"}, "chosen": {"0": "a", "1": "c"}, "rejected": {"0": "b", "1": "d"}}],
        [("p", "", "a", "b"), ("q", "", "c", "d")],
    ),
}  # fmt: skip


SCORED = [
    {"prompt": prompt, "response": response, "helpfulness": score, "correctness": 4 - score, "coherence": 4,
     "complexity": 1, "verbosity": 1}
    for prompt, response, score in [
        ("c#", "a", 3), ("p\n<extra_id_1>Assistant\nq\n<extra_id_1>User\nr", "x", 4), ("c#", "b", 1), ("c#", "c", 3),
        ("lonely", "y", 2), ("p\n<extra_id_1>Assistant\nq\n<extra_id_1>User\nr", "z", 0), ("even", "s", 2),
        ("even", "t", 2), ("even", "", 2),
    ]
]  # fmt: skip


def write(path, records: list[dict]) -> None:
    write_table(path, path.suffix[1:], list(dict.fromkeys(name for record in records for name in record)), records)
