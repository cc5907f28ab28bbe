"""What students hand in, and how each piece of it is judged. The commands `kata`, `red_team` and `check` speak for it.

`milestones.py` lists every deliverable; the other modules each judge one kind: notes, katas, tests, exploits, a patch.
"""
