"""RL Foundations for LLMs: one scorer, three loops, measured.

`from course.score import score` needs the standard library alone; everything else says which packages it lacks.
"""
