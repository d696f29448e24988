"""How people say it: one prompt on the screen, one line of input, one confirmed ranking on the disk."""
