"""What is watched, what burns, and who is told."""
