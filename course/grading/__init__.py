"""What students hand in, and how each piece of it is graded. The commands `kata`, `red_team` and `check` print it.

`milestones.py` lists every deliverable; the other modules each grade one kind: runs, notes, katas, tests, exploits, a
patch.
"""
