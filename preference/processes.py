"""This process: which of several it is, as `torchrun` and `accelerate launch` tell by their environment."""

import os

for _name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
    if os.environ.get(_name) == "":  # as unset; the libraries that read them later take no empty number
        del os.environ[_name]

PROCESS, PROCESSES = (
    int(os.environ.get("RANK") or 0),
    int(os.environ.get("WORLD_SIZE") or 1),
)  # process 0 speaks and writes
