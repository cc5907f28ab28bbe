"""The same scorer in real stacks: endpoints, others' logs, trainers, many machines. Never imported by the course.

Each command needs the packages of one `requirements-*.txt` beside this file. `docs/transfer.md` leads through them.
"""
