import pytest
import torch
from datasets import Dataset
from transformers import GPT2Config, GPT2ForSequenceClassification

from preference.machine import matmul_rate
from preference.model.fine_tuning import freeze_lower_layers
from preference.training.demands import LONG, memory_of_training, operations, say_time, token_counts, warn_of_memory, warn_of_weights
from preference.training.settings import TrainingSettings

ENCODED = Dataset.from_list([{"ranks": [1, 2], "input_ids": [[5] * 90, [5] * 40]}, {"ranks": [1, 2], "input_ids": [[5] * 10, [5] * 60]}])
LAYER = [(8, 24), (8, 8), (8, 32), (32, 8)]  # GPT-2's four matrices


@pytest.fixture
def model():
    model = GPT2ForSequenceClassification(GPT2Config(n_layer=3, n_embd=8, n_head=2, vocab_size=10, n_positions=128, num_labels=1))
    freeze_lower_layers(model, 1)
    return model


def test_work_and_memory_by_hand(model):
    of_layer = sum(a * b for a, b in LAYER)
    assert operations(model) == 2 * of_layer + 6 * (2 * of_layer + 8)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    everything = sum(parameter.numel() for parameter in model.parameters())
    kept = 100 * (2 * sum(a + b for a, b in LAYER) + 8 + 1)
    assert memory_of_training(model, 100, keeps_best=False) == 4 * (3 * trained + kept)
    assert memory_of_training(model, 100, keeps_best=True) == 4 * (3 * trained + everything + kept)


def test_tokens_are_counted_also_of_a_selection():
    assert token_counts(ENCODED) == [90, 40, 10, 60]
    assert token_counts(ENCODED.select([1])) == [10, 60]


def test_memory_is_said_only_where_it_is_short(model):
    assert warn_of_memory(model, ENCODED, TrainingSettings(), keeps_best=True) is None
    huge = TrainingSettings(batch_size=10**9)
    model.score = torch.nn.Linear(10**9, 10**5, bias=False, device="meta")  # as large as no machine, without taking memory
    text = warn_of_memory(model, ENCODED, huge, keeps_best=True)
    assert text.startswith("warning: training takes about 1600") and "GB of memory, and " in text
    assert text.endswith(" GB is free; lower --batch-size or --max-length, or raise --freeze-layers")


def test_weights_are_counted_before_they_are_loaded(tiny_distilbert, tmp_path):
    assert warn_of_weights(tiny_distilbert) is None and warn_of_weights(tmp_path) is None
    header = b'{"w":{"dtype":"BF16","shape":[1000000000,4096],"data_offsets":[0,8192000000000]}}'
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)  # the 8 TB after it are not read
    text = warn_of_weights(tmp_path)
    assert text.startswith("warning: loading the base model takes about 16384.0 GB of memory, and ")
    assert text.endswith(" is free; choose a smaller --base-model")


def test_time_is_said_only_where_it_is_long(model):
    assert say_time(model, ENCODED, TrainingSettings(), 100, "fp32") is None
    rate = matmul_rate(torch.float32, rows=512, width=8, seconds=0.05)
    steps = int(100 * LONG * rate / (operations(model) * 8 * 50))
    text = say_time(model, ENCODED, TrainingSettings(), steps, "fp32")
    assert text.startswith("training will take about ") and text.endswith("; a lower --max-length or --epochs makes it shorter")
