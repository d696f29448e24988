"""What people said: prompts, candidates, rankings, and the files that hold them."""
