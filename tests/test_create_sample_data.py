import time
from collections import Counter

from conftest import read_csv, run_script

from preference.data.rankings import SAMPLES, read_rankings


def test_the_sample_is_what_was_promised(sample_folder):
    training, test = read_rankings(sample_folder / "training_data.csv"), read_rankings(sample_folder / "test_data.csv")
    assert [len(r.answers) for r in training.rankings] == [4] * 5
    assert [len(r.answers) for r in test.rankings] == [4] * 3
    assert not {r.prompt for r in training.rankings} & {r.prompt for r in test.rankings}
    rows = read_csv(sample_folder / "training_data.csv")
    assert rows[0] == {
        "prompt": "Tell me a funny joke about programming",
        "answer": "Why do programmers prefer dark mode? Because light attracts bugs!",
        "rank": "1",
    }
    assert [row["answer"] for row in rows if row["rank"] == "4"] == [
        "Code code code.", "Energy is renewable.", "Read books.", "Coffee hot.", "Friend good.",
    ]  # fmt: skip


def test_length_does_not_give_the_order_away():
    longest = Counter(
        max(range(3), key=lambda i: len(ranking.answers[i])) + 1
        for sample in SAMPLES
        for ranking in read_rankings(sample).rankings
    )
    assert abs(longest[1] - longest[3]) <= 1


def test_a_file_that_differs_is_kept_unless_forced_and_then_backed_up(tmp_path):
    run_script("create_sample_data.py", cwd=tmp_path)
    run_script("create_sample_data.py", cwd=tmp_path)  # unchanged files are no obstacle
    own = "prompt,answer,rank\nmine,a,1\nmine,b,2\n"
    (tmp_path / "training_data.csv").write_text(own)
    (tmp_path / "test_data.csv").unlink()

    done = run_script("create_sample_data.py", cwd=tmp_path)
    assert done.stdout == (
        "training_data.csv: kept, though it is not the sample (create_sample_data.py --force replaces it)\n"
        "test_data.csv: 3 prompts x 4 ranked answers\n"
    )
    assert (tmp_path / "training_data.csv").read_text() == own
    assert (tmp_path / "test_data.csv").exists()

    run_script("create_sample_data.py", "--force", cwd=tmp_path)
    assert len(read_csv(tmp_path / "training_data.csv")) == 20
    assert [path.read_text() for path in tmp_path.glob("training_data.csv.backup-*")] == [own]


def test_a_backup_that_does_not_fit_costs_nothing(tmp_path, small_files_only):
    own = "prompt,answer,rank\n" + "mine,a,1\n" * 1000
    (tmp_path / "training_data.csv").write_text(own)
    with small_files_only(5000):
        done = run_script("create_sample_data.py", "--force", cwd=tmp_path, status=2)
    assert done.stderr.startswith("error: training_data.csv.backup-") and done.stderr.endswith(": File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["training_data.csv"] and (
        tmp_path / "training_data.csv"
    ).read_text() == own


def test_it_loads_nothing_heavy(tmp_path):
    import subprocess
    import sys

    from conftest import ROOT

    program = (
        "import sys, create_sample_data; create_sample_data.main([]); "
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert time.perf_counter() - start < 20  # a guard against a hang, not a timing
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
