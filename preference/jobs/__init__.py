"""What each script does, from its files to its last line."""
