import os
import signal
import subprocess
import sys

import pexpect
import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")


@pytest.mark.parametrize("module", ["torch._C", pytest.param("transformers.utils", marks=pytest.mark.faults)])
def test_ctrl_c_during_the_heavy_imports_ends_with_one_word(tmp_path, sample_folder, module):
    status, printed = interrupt_after(
        module, tmp_path, "reward_model_trainer.py", "--data", sample_folder / "training_data.csv"
    )
    assert status == 130 and printed == ["", "stopped"]
    assert list(tmp_path.iterdir()) == []


HIDES_CTRL_C = """
import os, signal, sys
from preference.scripts import interrupt_in, run_script
def main(argv):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:  # as the import of a module in C does
        pass
    raise ImportError("could not import module 'x'")
run_script(main)
"""


def test_ctrl_c_that_an_import_hid_at_the_terminal_ends_the_script_too():
    child = pexpect.spawn(sys.executable, ["-c", HIDES_CTRL_C], cwd=ROOT, encoding="utf-8", timeout=20)
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, child.before.split()) == (130, ["stopped"])


@pytest.mark.faults
def test_ctrl_c_ends_the_demo_with_status_130(tmp_path):
    status, printed = interrupt_after("preference.training.train", tmp_path, "run_demo.py")
    assert status == 130 and printed == ["", "stopped"]  # there is no checkpoint to resume from yet


def interrupt_after(module: str, folder, script: str, *arguments) -> tuple[int, list[str]]:
    """Run a script, press Ctrl-C when it has imported `module`; return its exit status and its lines on standard
    error."""
    command = [sys.executable, "-X", "importtime", str(ROOT / script), *map(str, arguments)]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    for line in child.stderr:  # each module as soon as it is imported
        if line.split("|")[-1].strip() == module:
            break
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=5)  # within 2 seconds on a machine that is not busy
    return child.returncode, [line for line in rest.splitlines() if not line.startswith("import time:")]
