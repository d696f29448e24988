"""Our own code gives Python nothing to warn of. (pyproject.toml turns such warnings into errors in every other
test.)"""

import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_no_script_makes_python_warn_of_our_code(watched):
    """Nor of files left open, nor of texts read in the encoding of the machine."""
    files = [(Path(warning[0]), warning) for warning in watched["warnings"]]
    assert [
        warning for path, warning in files if ROOT in path.parents and "site-packages" not in path.parts
    ] == []  # the environment may be in here


def test_a_warning_of_our_code_would_be_seen(tmp_path):
    (tmp_path / "warns.py").write_text(
        "import pathlib\ndef main(arguments):\n    pathlib.Path(__file__).read_text()\n    return 0\n"
    )
    program = (
        f"import sys; sys.path[:0] = ['.', {str(ROOT / 'tests')!r}]; import watch; "
        "watch.main('report.json', '[[\"warns\"]]')"
    )
    subprocess.run([sys.executable, "-X", "warn_default_encoding", "-c", program], cwd=tmp_path, check=True)
    assert "EncodingWarning" in (tmp_path / "report.json").read_text()
