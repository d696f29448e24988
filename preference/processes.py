"""This process: which of several it is, as `torchrun` and `accelerate launch` tell by their environment."""

import os

PROCESS, PROCESSES = int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)  # process 0 speaks and writes
