"""`pip install -e .`: `import preference` works in other folders."""

import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from conftest import ROOT


@pytest.mark.faults
def test_the_package_is_imported_from_another_folder(tmp_path):
    """In a virtual environment that sees what is installed here, without a network."""
    project = tmp_path / "project"  # a copy: pip writes beside pyproject.toml
    shutil.copytree(ROOT / "preference", project / "preference", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, project)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    installed = {sysconfig.get_path("purelib"), *site.getsitepackages()}
    with open(f"{packages}/installed.pth", "w", encoding="utf-8") as file:
        file.writelines(f"{folder}\n" for folder in sorted(installed))
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-e",
        project,
    ]
    subprocess.run(command, check=True, cwd=tmp_path)
    imported = subprocess.run(
        [python, "-c", "from preference.data.rankings import SAMPLES; print(*SAMPLES)"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    samples = [project / "preference" / "data" / "sample" / f"{name}_data.csv" for name in ("training", "test")]
    assert imported.stdout.strip() == " ".join(map(str, samples)), imported.stderr
    command = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", project]
    subprocess.run(command, check=True, cwd=tmp_path)
    with zipfile.ZipFile(next(tmp_path.glob("preference-*.whl"))) as wheel:
        assert {str(sample.relative_to(project)) for sample in samples} <= {*wheel.namelist()}
