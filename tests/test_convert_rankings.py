"""Each format is read from records that are shaped as the real data sets are, and goes back and forth without losing a comparison."""

import json
import shlex
import subprocess
import sys
import tracemalloc
from decimal import Decimal

import pytest
from conftest import ROOT, read_csv, run_process, run_script
from known_formats import KNOWN, NIGHT, SCORED, SKY, USER, write

from preference.data.rankings import Ranking, read_rankings, write_rankings
from preference.data.tables import read_table


def best_to_worst(ranking: Ranking) -> tuple:
    """Prompt, group, then the answers; tied ones in a tuple."""
    levels = [tuple(a for a, rank in zip(ranking.answers, ranking.ranks, strict=True) if rank == level) for level in sorted(set(ranking.ranks))]
    return ranking.prompt, ranking.group, *(level[0] if len(level) == 1 else level for level in levels)


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "json", "csv"])
@pytest.mark.parametrize("name", KNOWN)
def test_what_others_have_becomes_rankings(tmp_path, name, kind):
    records, expected, read = KNOWN[name]
    write(source := tmp_path / f"data.{kind}", records)
    done = run_script("convert_rankings.py", source, "out.csv", cwd=tmp_path)
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "out.csv").rankings] == expected
    assert done.stdout.startswith(f"{read} from {source}, wrote ") and not done.stderr


def test_a_subset_is_kept(tmp_path):
    write(tmp_path / "bench.jsonl", [{"prompt": "p", "chosen": "a", "rejected": "b", "subset": "Math"}, *KNOWN["RewardBench"][0]])
    run_script("convert_rankings.py", "bench.jsonl", "out.csv", cwd=tmp_path)
    assert [(row["answer"], row["group"], row["subset"]) for row in read_csv(tmp_path / "out.csv")] == [
        ("a", "1", "Math"), ("b", "1", "Math"), ("a", "2", "alpacaeval-easy"), ("b", "2", "alpacaeval-easy"),
    ]  # fmt: skip
    run_script("convert_rankings.py", "out.csv", "back.jsonl", "--to", "rewardbench", cwd=tmp_path)
    assert read_table(tmp_path / "back.jsonl").records == [
        {"prompt": "p", "chosen": "a", "rejected": "b", "group": "1", "subset": "Math", "id": 1},
        {"prompt": "p", "chosen": "a", "rejected": "b", "group": "2", "subset": "alpacaeval-easy", "id": 2},
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_scored_answers_of_one_prompt_are_one_ranking(tmp_path, kind):
    write(tmp_path / f"scored.{kind}", SCORED)
    done = run_script("convert_rankings.py", f"scored.{kind}", "out.csv", "--score", "helpfulness", cwd=tmp_path)
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "out.csv").rankings] == [
        ("c#", "", ("a", "c"), "b"),
        ("User: p\n\nAssistant: q\n\nUser: r", "", "x", "z"),
    ]
    assert done.stdout == (
        f"read 9 scored answers from scored.{kind}, wrote 5 ranked answers (2 rankings of 2 prompts) to out.csv\n"
        "left out: 1 with an empty text, 1 with only one answer, 1 with only ties\n"
    )
    run_script("convert_rankings.py", f"scored.{kind}", "other.csv", "--score", "correctness", cwd=tmp_path)
    assert best_to_worst(read_rankings(tmp_path / "other.csv").rankings[0]) == ("c#", "", "b", ("a", "c"))


def test_several_raters_of_the_same_answers_keep_their_own_rankings(tmp_path):
    rows = [("ann", "a", 5), ("ann", "b", 1), ("bob", "a", 2), ("bob", "b", 3)]
    write(tmp_path / "scored.jsonl", [{"prompt": "p", "completion": answer, "score": score, "annotator": who} for who, answer, score in rows])
    run_script("convert_rankings.py", "scored.jsonl", "out.csv", "--score", "score", cwd=tmp_path)
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "out.csv").rankings] == [("p", "ann", "a", "b"), ("p", "bob", "b", "a")]
    write(tmp_path / "alone.jsonl", [{"prompt": "p", "completion": answer, "score": score} for _, answer, score in rows])
    done = run_script("convert_rankings.py", "alone.jsonl", "none.csv", "--score", "score", cwd=tmp_path, status=2)
    assert done.stderr == "error: alone.jsonl: 4 records, and no comparison: 1 with answers listed twice with different ranks\n"


def test_raters_may_have_numbers_which_a_table_with_gaps_makes_floats(tmp_path):
    rows = [(1.0, "a", 5), (1.0, "b", 1), (2.0, "a", 2), (2.0, "b", 3), (None, "a", 1), (None, "b", 4)]
    write(tmp_path / "rated.parquet", [{"prompt": "p", "answer": a, "score": score, "group": "", "annotator_id": who} for who, a, score in rows])
    run_script("convert_rankings.py", "rated.parquet", "out.csv", "--score", "score", cwd=tmp_path)
    expected = [("p", "1", "a", "b"), ("p", "2", "b", "a"), ("p", "", "b", "a")]
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "out.csv").rankings] == expected
    write(tmp_path / "ranked.parquet", [{"prompt": "p", "answer": a, "rank": 6 - score, "group": who} for who, a, score in rows])
    run_script("convert_rankings.py", "ranked.parquet", "ranked.csv", cwd=tmp_path)
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "ranked.csv").rankings] == expected


def test_a_rater_named_in_another_column_keeps_the_subset_and_ranks_may_be_decimals(tmp_path):
    rows = [("a", 1, "Ann"), ("b", 2, "Ann"), ("a", 2, "Bo"), ("b", 1, "Bo")]
    records = [{"prompt": "p", "answer": answer, "rank": Decimal(rank), "annotator": who, "subset": f"of {who}"} for answer, rank, who in rows]
    write(tmp_path / "ranked.parquet", records)
    run_script("convert_rankings.py", "ranked.parquet", "out.csv", cwd=tmp_path)
    written = [(row["answer"], row["rank"], row["group"], row["subset"]) for row in read_csv(tmp_path / "out.csv")]
    assert written == [(answer, str(rank), who, f"of {who}") for answer, rank, who in rows]


def test_messages_in_pythons_notation_are_refused(tmp_path):
    (tmp_path / "pandas.csv").write_text("""context,response1,response2,overall_preference\n"[{'role': 'user', 'content': 'Hi'}]",a,b,1\n""")
    done = run_script("convert_rankings.py", "pandas.csv", "out.csv", cwd=tmp_path, status=2)
    assert done.stderr.startswith("error: pandas.csv:2: a list in Python's notation, not in JSON: ")
    (tmp_path / "pairs.csv").write_text("""prompt,chosen,rejected\np,"[{'role': 'user', 'content': 'Hi'}]","[{'role': 'user', 'content': 'Ho'}]"\n""")
    assert "pairs.csv:2: a list in Python's notation" in run_script("convert_rankings.py", "pairs.csv", "out.csv", cwd=tmp_path, status=2).stderr
    (tmp_path / "bench.csv").write_text("""prompt,chosen,rejected,subset\np,['a'],"['b', 'c']",s\n""")
    assert "bench.csv:2: a list in Python's notation" in run_script("convert_rankings.py", "bench.csv", "out.csv", cwd=tmp_path, status=2).stderr
    code = 'prompt,chosen,rejected\np,"[{""id"": 1}]","[""a""]"\n'  # an answer that is JSON
    (tmp_path / "code.csv").write_text(code)
    run_script("convert_rankings.py", "code.csv", "code_out.csv", cwd=tmp_path)
    assert [row["answer"] for row in read_csv(tmp_path / "code_out.csv")] == ['[{"id": 1}]', '["a"]']


def test_tables_that_hold_their_records_in_another_way_are_told_apart(tmp_path):
    (tmp_path / "columns.json").write_text('{"prompt": {"0": "p"}, "chosen": {"0": "a"}, "rejected": {"0": "b"}}')
    assert 'to_json(..., orient="records", lines=True)' in error_of(tmp_path, "columns.json", "out.csv")
    (tmp_path / "inside.json").write_text('{"train": [{"prompt": "p", "chosen": "a", "rejected": "b"}]}')
    assert "its records may be those in 'train': write that list alone" in error_of(tmp_path, "inside.json", "out.csv")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_answers_that_happen_to_be_json_stay_texts(tmp_path, kind):
    answers = ["{'value': 1, 'next': None}", '{"role": "admin", "content": "x"}', '["a", "b"]', "[1, 2]"]
    pairs = [{"prompt": "p", "chosen": answer, "rejected": "no"} for answer in answers]
    write(tmp_path / f"code.{kind}", pairs)
    run_script("convert_rankings.py", f"code.{kind}", "out.csv", cwd=tmp_path)
    assert [row["answer"] for row in read_csv(tmp_path / "out.csv") if row["rank"] == "1"] == answers


def test_a_prompt_that_is_a_chat_already_stays_as_it_is(tmp_path):
    write(tmp_path / "scored.csv", [{"prompt": NIGHT, "response": answer, "score": score} for answer, score in (("dark", 1), ("black", 2))])
    run_script("convert_rankings.py", "scored.csv", "out.csv", "--score", "score", cwd=tmp_path)
    assert {row["prompt"] for row in read_csv(tmp_path / "out.csv")} == {NIGHT}


def test_pairs_of_one_prompt_stay_pairs_and_raters_stay_apart(tmp_path):
    pairs = [("a", "b", "ann"), ("b", "c", "ann"), ("c", "a", "bob"), ("a", "b", "ann 1")]
    write(tmp_path / "pairs.jsonl", [{"prompt": " p", "chosen": better, "rejected": worse, "annotator": who} for better, worse, who in pairs])
    run_script("convert_rankings.py", "pairs.jsonl", "out.csv", cwd=tmp_path)
    assert [best_to_worst(ranking) for ranking in read_rankings(tmp_path / "out.csv").rankings] == [
        ("p", "ann 2", "a", "b"), ("p", "ann 3", "b", "c"), ("p", "bob", "c", "a"), ("p", "ann 1", "a", "b"),
    ]  # fmt: skip


def test_rows_that_compare_nothing_are_counted(tmp_path):
    same = "\n\nHuman: Hi!\n\nAssistant: Hello."
    rows = [
        (same, same), (same, "\n\nHuman: Bye!\n\nAssistant: Hello."), (same, "\n\nHuman: Hi!\n\nAssistant: "), (same, same), (same, same + "!"),
    ]  # fmt: skip
    write(tmp_path / "hh.jsonl", [{"chosen": chosen, "rejected": rejected} for chosen, rejected in rows])
    done = run_script("convert_rankings.py", "hh.jsonl", "out.csv", cwd=tmp_path)
    assert done.stdout == (
        "read 5 HH-RLHF dialogue pairs from hh.jsonl, wrote 2 ranked answers (1 ranking of 1 prompt) to out.csv\n"
        "left out: 2 with identical answers, 1 with answers to different prompts, 1 with an empty text\n"
    )
    write(tmp_path / "none.jsonl", [{"chosen": same, "rejected": same}])
    done = run_script("convert_rankings.py", "none.jsonl", "none.csv", cwd=tmp_path, status=2)
    assert done.stderr == "error: none.jsonl: 1 record, and no comparison: 1 with identical answers\n"
    assert not (tmp_path / "none.csv").exists()


# What is wrong


def error_of(tmp_path, *arguments, stdin=None) -> str:
    """Convert, expect that nothing is written, and return the message."""
    before = sorted(tmp_path.iterdir())
    done = run_script("convert_rankings.py", *arguments, cwd=tmp_path, status=2)
    assert not done.stdout and sorted(tmp_path.iterdir()) == before
    return done.stderr


@pytest.mark.parametrize(
    "record, problem",
    [
        ({"prompt": 5, "chosen": "a", "rejected": "b"}, "the prompt is not a text: '5'; write a text or a list of messages"),
        ({"prompt": "p", "chosen": "a"}, "no 'rejected'; give every record one"),
        ({"prompt": "p", "chosen": 1, "rejected": "b"}, 'not a list of messages: \'1\'; write [{"role": "user", "content": "..."}]'),
        ({"prompt": "p", "chosen": "a\0", "rejected": "b"}, "a NUL character in 'a\\x00'; remove it"),
        ({"prompt": "p", "chosen": "a", "rejected": "\ud83d"}, "half of a surrogate pair in '\\ud83d'; remove it"),
        ({"prompt": "p", "chosen": "a", "rejected": [{"role": "x", "content": "b"}]}, "not a list of messages: 'a'; write "),
    ],
)
def test_a_wrong_record_is_named_with_its_line(tmp_path, record, problem):
    good = {"prompt": "p", "chosen": "a", "rejected": "b"}
    (tmp_path / "data.jsonl").write_text(json.dumps(good) + "\n\n" + json.dumps(record) + "\n", encoding="utf-8")
    assert error_of(tmp_path, "data.jsonl", "out.csv").startswith(f"error: data.jsonl:3: {problem}")


@pytest.mark.parametrize(
    "record, problem",
    [
        ({"context": "p", "response1": "a", "response2": "b", "overall_preference": 4}, "overall_preference is '4'; it must be from -3 to 3"),
        ({"conversation_a": [USER], "conversation_b": [USER], "winner": "me"}, "winner is 'me'; write one of model_a, model_b, tie, "),
        ({"conversation_a": "[", "conversation_b": [USER], "winner": "tie"}, "'conversation_a' is not JSON: '['; write a list"),
        ({"instruction": "a", "input": "", "chosen": "b", "rejected": "c", "history": [["q", 5]]}, "not a text: '5'; write a text"),
        ({"conversations": [{"from": "human", "value": "a"}], "chosen": "b", "rejected": "c", "system": 5}, "not a text: '5'; write a text"),
        ({"conversations": [{"from": "system", "value": ""}], "chosen": "b", "rejected": "c", "system": "s"}, "no message with a text; write at"),
        ({"query": "q", "docs": ["a", "b"], "labels": [1]}, "1 labels for 2 docs; give each doc a label"),
        ({"query": "q", "docs": ["a", "b"], "labels": [1, "x"]}, "'labels' is not a number: 'x'; write a number"),
        ({"query": "q", "docs": ["a", 2], "labels": [1, 0]}, "not a text: '2'; write a text"),
        ({"query": "q", "docs": "a", "labels": [1]}, "'docs' is not a list: 'a'; write a list"),
        ({"prompt": "p", "answers": [{"answer": "a"}]}, "answers has "),
        ({"prompt": "p", "completions": ["a"]}, "completions has "),
        ({"prompt": "p", "candidates_completions": ["a"], "ranks": []}, "0 ranks for 1 candidates; give each candidate a rank"),
        ({"instruction": "i", "chosen": "a", "rejected": "b", "history": ["x"]}, "history has 'x'; write "),
    ],
)
def test_a_wrong_record_of_each_format(tmp_path, record, problem):
    (tmp_path / "data.json").write_text(json.dumps([record]), encoding="utf-8")
    assert error_of(tmp_path, "data.json", "out.csv").startswith(f"error: data.json, row 1: {problem}")


def test_the_first_problems_are_shown_and_the_rest_counted(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": i, "chosen": "a", "rejected": "b"} for i in range(25)])
    lines = error_of(tmp_path, "data.jsonl", "out.csv").splitlines()
    assert lines[19].startswith("data.jsonl:20: ") and lines[20:] == ["... and 5 more problems"]


def test_the_contract_is_checked_wherever_its_rows_come_from(tmp_path):
    rows = [("p", "a", 1), ("p", "a", 2), ("p", "", 1), ("q", 3, 1), ("q", "b", 1.5), ("q", "c\0", 1)]
    write(tmp_path / "data.json", [{"prompt": prompt, "answer": answer, "rank": rank} for prompt, answer, rank in rows])
    assert error_of(tmp_path, "data.json", "out.csv") == (
        "error: data.json, row 2: the same answer to one prompt has rank 2 here and rank 1 on row 1: 'a'; keep one of the two rows\n"
        "data.json, row 3: empty answer: ''; write the text or delete the row\n"
        "data.json, row 4: answer is not a text: '3'; write a text\n"
        "data.json, row 5: rank must be a positive whole number, not '1.5'; write 1 for the best answer, 2 for the next\n"
        "data.json, row 6: a NUL character in 'c\\x00'; remove it\n"
    )


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    write(tmp_path / "data.jsonl", [{"text": "a", "label": 1}])
    lines = error_of(tmp_path, "data.jsonl", "out.csv").splitlines()
    assert lines[0] == "error: data.jsonl: of no known format: the columns are 'text, label'; known are"
    assert len(lines) > 15 and "  arena votes" in [line[:13] for line in lines]
    (tmp_path / "empty.jsonl").write_text("")
    assert error_of(tmp_path, "empty.jsonl", "out.csv") == "error: empty.jsonl: has no records; write one per ranking, or per answer\n"


def test_answers_without_ranks_say_what_is_missing(tmp_path):
    write(tmp_path / "scored.jsonl", SCORED)
    assert error_of(tmp_path, "scored.jsonl", "out.csv") == (
        "error: scored.jsonl: answers without ranks; name the column of scores with --score, one of: helpfulness, correctness, coherence,"
        " complexity, verbosity\n"
    )
    assert error_of(tmp_path, "scored.jsonl", "out.csv", "--score", "humor").startswith(
        "error: scored.jsonl: --score humor: needs the columns prompt, humor and one of response, answer, completion, output; there are prompt, "
    )
    write(tmp_path / "candidates.jsonl", [{"prompt": "p", "answers": ["a", "b"]}])
    assert error_of(tmp_path, "candidates.jsonl", "out.csv") == (
        "error: candidates.jsonl: candidates without ranks; rank them: python generate_data.py --candidates FILE\n"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["out.jsonl"], "out.jsonl: say with --to what is written into it: csv, trl, trl-conversational, lists, rewardbench"),
        (["out.txt"], "out.txt: the ending does not say what kind of file it is; use one of .csv, .jsonl, .ndjson, .json, .parquet, or --kind"),
        (["out.csv", "--to", "lists"], "out.csv: a CSV cannot hold lists, as --to lists has them; write .jsonl, .json or .parquet"),
        (["out.csv", "--pairs", "best-worst"], "--pairs best-worst: --to csv writes no pairs; use one of trl, trl-conversational, rewardbench"),
        (["no/out.csv"], "no/out.csv: its folder does not exist; name a file"),
        ([".", "--kind", "csv"], ".: a folder; name a file"),
        (["data.csv"], "data.csv: exists; choose another TARGET, or replace it with --force (the earlier file is kept as a backup)"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_read(tmp_path, arguments, message):
    (tmp_path / "data.csv").write_text("not,read\n")
    assert error_of(tmp_path, "data.csv", *arguments) == f"error: {message}\n"


def test_an_earlier_file_is_kept_as_a_backup(tmp_path):
    write_rankings(tmp_path / "data.csv", [Ranking("p", ["a", "b"], [2, 1])])
    before = (tmp_path / "data.csv").read_bytes()
    done = run_script("convert_rankings.py", "data.csv", "data.csv", "--to", "trl", "--force", cwd=tmp_path)
    backup = next(tmp_path.glob("data.csv.backup-*"))
    assert backup.read_bytes() == before and done.stdout.endswith(f"the earlier data.csv is kept as {backup.name}\n")
    assert read_csv(tmp_path / "data.csv") == [{"prompt": "p", "chosen": "b", "rejected": "a"}]


def test_memory_does_not_grow_with_the_texts(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": f"{i}", "chosen": "a" * 12_000, "rejected": "b" * 12_000} for i in range(1000)])  # 24 MB
    run_script("convert_rankings.py", "data.jsonl", "out.csv", cwd=tmp_path)  # imports what is needed
    tracemalloc.start()
    try:
        run_script("convert_rankings.py", "data.jsonl", "again.csv", cwd=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(
    "size, named", [(2000, "cannot be written (File too large); make room there, or set TMPDIR"), (10_500, "cannot be written: File")]
)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, small_files_only, size, named):
    text = "a" * 100
    write(tmp_path / "data.jsonl", [{"prompt": f"{i}", "chosen": text, "rejected": "b"} for i in range(60)])
    with small_files_only(size):
        assert named in error_of(tmp_path, "data.jsonl", "out.json", "--to", "trl-conversational")


def test_a_reader_that_ends_early_ends_the_writer_quietly(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": f"{i}", "chosen": "a" * 1000, "rejected": "b"} for i in range(500)])
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'convert_rankings.py'))} data.jsonl - | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("prompt,answer,rank\n", "")


# Out, and back


def test_pairs_out(tmp_path):
    write_rankings(tmp_path / "data.csv", [Ranking("p", ["a", "b", "c", "d"], [2, 1, 2, 7])])
    for pairs, expected in [("all", ["ba", "bc", "bd", "ad", "cd"]), ("best-worst", ["bd"])]:
        run_script("convert_rankings.py", "data.csv", f"{pairs}.csv", "--to", "trl", "--pairs", pairs, cwd=tmp_path)
        assert [row["chosen"] + row["rejected"] for row in read_csv(tmp_path / f"{pairs}.csv")] == expected
    assert list(read_csv(tmp_path / "best-worst.csv")[0]) == ["prompt", "chosen", "rejected"]


def test_a_chat_is_a_chat_again(tmp_path):
    records = KNOWN["TRL, conversational"][0]
    write(tmp_path / "chats.jsonl", records)
    run_script("convert_rankings.py", "chats.jsonl", "out.csv", cwd=tmp_path)
    run_script("convert_rankings.py", "out.csv", "back.jsonl", "--to", "trl-conversational", cwd=tmp_path)
    assert read_table(tmp_path / "back.jsonl").records == records


def test_from_standard_input_to_standard_output(tmp_path):
    records = KNOWN["TRL, conversational"][0]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    done = run_process("convert_rankings.py", "-", "-", cwd=tmp_path, stdin=lines)
    assert done.stdout.startswith(f"prompt,answer,rank\n{SKY},It is blue.,1\n{SKY},It is green.,2\n")
    assert done.stderr == "read 2 TRL preference pairs (conversational) from standard input, wrote 4 ranked answers" + (
        " (2 rankings of 2 prompts) to standard output\n"
    )
    back = run_process("convert_rankings.py", "-", "-", "--to", "trl-conversational", cwd=tmp_path, stdin=done.stdout)
    assert [json.loads(line) for line in back.stdout.splitlines()] == records
    wrong = run_process("convert_rankings.py", "-", "-", cwd=tmp_path, stdin=lines + '{"prompt": 1, "chosen": "", "rejected": ""}\n', status=2)
    assert wrong.stdout == "" and wrong.stderr.startswith("error: standard input:3: the prompt is not a text")


# What the libraries make of it


@pytest.fixture
def as_dataset(tmp_path):
    """A function that converts two rankings to a format and loads them as the libraries do."""

    def convert(name: str, to: str):
        import datasets

        write_rankings(tmp_path / "data.csv", [Ranking(f"good coffee {i}", ["hot water", "read", "sky blue"], [3, 1, 2]) for i in range(2)])
        run_script("convert_rankings.py", "data.csv", name, "--to", to, cwd=tmp_path)
        kind = {"jsonl": "json"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
        return datasets.load_dataset(kind, data_files=str(tmp_path / name), split="train", cache_dir=str(tmp_path / "cache"))

    return convert


@pytest.mark.parametrize("name, to", [("pairs.jsonl", "trl-conversational"), ("pairs.parquet", "trl-conversational"), ("pairs.csv", "trl")])
def test_trl_trains_on_the_pairs(as_dataset, tiny_distilbert, tmp_path, name, to):
    trl = pytest.importorskip("trl")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    tokenizer.eos_token = "[SEP]"
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }} [SEP] {% endfor %}"
    trainer = trl.RewardTrainer(
        AutoModelForSequenceClassification.from_pretrained(tiny_distilbert, num_labels=1),
        trl.RewardConfig(str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to=[], max_length=None),
        train_dataset=as_dataset(name, to),
        processing_class=tokenizer,
    )
    assert len(trainer.train_dataset) == 6
    assert trainer.train().training_loss > 0


def test_sentence_transformers_trains_on_the_lists(as_dataset, tiny_distilbert, tmp_path):
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments, losses

    model = CrossEncoder(str(tiny_distilbert), num_labels=1, device="cpu")
    lists = as_dataset("lists.parquet", "lists")
    assert lists.column_names == ["query", "docs", "labels"] and lists[0]["labels"] == [0, 2, 1]
    arguments = CrossEncoderTrainingArguments(str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, report_to=[])
    trainer = CrossEncoderTrainer(model, arguments, train_dataset=lists, loss=losses.RankNetLoss(model))
    assert trainer.train().training_loss > 0
