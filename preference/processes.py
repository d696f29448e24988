"""Which of several processes this is, as `torchrun` and `accelerate launch` tell by their environment."""

import os

PROCESS, PROCESSES = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))  # process 0 speaks and writes
