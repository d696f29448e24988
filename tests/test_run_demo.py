from conftest import ROOT, run_script

import run_demo


def test_a_failing_step_ends_the_demo_with_its_status(tmp_path):
    (tmp_path / "training_data.csv").write_text("prompt,answer,rank\np,a,zero\n")
    done = run_script("run_demo.py", cwd=tmp_path, status=2)
    assert done.stdout.splitlines() == [
        "",
        "📝 Step 1: Creating sample training data...",
        "",
        f"$ python {ROOT / 'create_sample_data.py'}",
        "training_data.csv: kept, though it is not the sample (create_sample_data.py --force replaces it)",
        "test_data.csv: 3 prompts x 4 ranked answers",
        "",
        "✅ Sample data created successfully!",
        "",
        "🚀 Step 2: Training the reward model...",
        "",
        f"$ python {ROOT / 'reward_model_trainer.py'}",
    ]
    assert done.stderr.startswith("error: training_data.csv:2: rank must be a number, not 'zero'")


def test_the_commands_are_what_a_person_would_type():
    import create_sample_data
    import reward_model_trainer
    import score_answers

    scripts = {
        "create_sample_data.py": create_sample_data,
        "reward_model_trainer.py": reward_model_trainer,
        "score_answers.py": score_answers,
    }
    commands = run_demo.demo_commands()
    assert [command[0] for command in commands] == list(scripts)
    for script, *arguments in commands:
        scripts[script].build_parser().parse_args(arguments)


def test_the_steps_are_announced_around_the_commands_with_their_signs(watched):
    wanted = [
        "📝 Step 1: Creating sample training data...", f"$ python {ROOT / 'create_sample_data.py'}",
        "✅ Sample data created successfully!", "🚀 Step 2: Training the reward model...",
        f"$ python {ROOT / 'reward_model_trainer.py'}", "✅ Model training completed successfully!",
        "🎉 Demo completed successfully!", f"    python {ROOT / 'generate_data.py'} --data my_rankings.csv",
    ]  # fmt: skip
    assert [line for line in watched["printed"].splitlines() if line in wanted] == wanted
