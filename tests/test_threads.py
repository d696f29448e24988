import os
import subprocess
import sys

from conftest import ROOT

from preference.threads import BUSY_CORES, busy_cores

SETTLE = "import os; from preference.threads import settle_waiting; settle_waiting(); print(os.environ.get('OMP_WAIT_POLICY'))"


def settled(**environment) -> str:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    }
    done = subprocess.run(
        [sys.executable, "-c", SETTLE], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_threads_sleep_where_another_program_keeps_a_core_busy_unless_the_user_says_otherwise():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            assert busy_cores(0.3) > BUSY_CORES
            assert settled() == "PASSIVE"
            assert settled(GOMP_SPINCOUNT="1000") == "None"
            assert settled(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"
        finally:
            burner.kill()


def test_what_this_process_imported_already_is_left_alone():
    program = "import sys, os; sys.modules['torch'] = sys; " + SETTLE
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == str(os.environ.get("OMP_WAIT_POLICY"))
        finally:
            burner.kill()
