"""The seal on the course's core: has anything changed that students read but do not edit?

    python -m course.seal            says whether the seal is whole, and what broke it
    python -m course.seal --renew    for teachers: seal the core as it stands

`course/seal.json` holds the hash of every sealed file: all that Python can import for the course (`course/core/seal.py`
says exactly what), its templates and its data. The marked region of `selection_demo.py`, which is the student's, is
left out; files of your own may lie in `data/`. Every run records the hash of the core and whether the seal was whole;
one made under a broken seal is not compared with a sealed one.

A whole seal says that the core is as it was sealed last, not by whom: `git diff`, or the hash that is printed in a
fresh checkout, tells whether that is the one that was shipped.
"""

from dataclasses import dataclass

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, visible
from course.core.files import InputError, to_pretty_json, write_whole
from course.core.paths import ROOT, SEAL
from course.core.seal import check_seal, core_hashes


@dataclass(frozen=True)
class Settings:
    renew: bool = option(False, "for teachers: seal the core as it stands now")


def main() -> int:
    settings = parse("course.seal", "Check the seal on the course's core.", Settings)
    out = console()
    if settings.renew:
        hashes = core_hashes()
        if lying := next((name for name in hashes if name.endswith(".pyc")), None):
            raise InputError(lying, "bytecode cannot be sealed, it need not say what its source says: delete it")
        write_whole(SEAL, to_pretty_json(hashes))
        out.print(f"sealed {len(hashes)} files in {SEAL.relative_to(ROOT)}")
        out.print(f"This core is the one that was shipped only if nothing was changed: {check_seal().sha256}")
        return DONE
    state = check_seal()
    if state.sealed:
        out.print(f"the seal is whole: the core is as it was sealed, {state.sha256}")
        return DONE
    out.print("the seal is broken:")
    for line in state.broken:
        out.print(f"  {visible(line)}")
    out.print(
        "Nothing bad has happened: trying things out is a good way to read. But runs made now say that the seal was",
        "broken, and are not compared with sealed ones. To go back: git checkout -- course data, and delete what was",
        "added (in __pycache__: bytecode that does not say what its source says).",
        "Yours, and never sealed: notes/, tests/test_rubric.py, and pick_best between its marks in selection_demo.py.",
        sep="\n",
    )
    return FOUND


if __name__ == "__main__":
    run_command(main)
