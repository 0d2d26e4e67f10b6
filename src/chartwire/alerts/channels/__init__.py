"""Ways to tell people: a file for each, `kinds.py` lists them; the shape of what is sent is a .yaml beside it."""
