from conftest import run_script

import run_demo


def test_a_failing_step_ends_the_demo_with_its_status(tmp_path):
    (tmp_path / "training_data.csv").write_text("prompt,answer,rank\np,a,zero\n")
    done = run_script("run_demo.py", cwd=tmp_path, status=2)
    assert done.stdout.splitlines() == [
        "",
        "$ python create_sample_data.py --keep-existing",
        "training_data.csv: kept as it is; it differs from the sample",
        "test_data.csv: 3 prompts x 4 ranked answers",
        "",
        "$ python reward_model_trainer.py",
    ]
    assert done.stderr.startswith("error: training_data.csv:2: rank must be a positive whole number, not 'zero'")


def test_the_commands_are_what_a_person_would_type():
    import create_sample_data
    import reward_model_trainer
    import score_answers

    scripts = {"create_sample_data.py": create_sample_data, "reward_model_trainer.py": reward_model_trainer, "score_answers.py": score_answers}
    commands = run_demo.demo_commands()
    assert [command[0] for command in commands] == list(scripts)
    for script, *arguments in commands:
        scripts[script].build_parser().parse_args(arguments)
