"""The seal on the course's core: has anything changed that students read but do not edit?

    python -m course.seal            says whether the seal is whole, and what broke it
    python -m course.seal --renew    for teachers: seal the core as it stands

`course/seal.json` holds the hash of every sealed file: the code and templates of `course/` and the data that the
course ships. The marked region of `selection_demo.py`, which is the student's, is left out of its hash; files of your
own may lie in `data/`. Every run records whether the seal was whole; one made under a broken seal is not compared with
a sealed one.
"""

from dataclasses import dataclass

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console
from course.core.files import to_pretty_json, write_whole
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
        write_whole(SEAL, to_pretty_json(hashes))
        out.print(f"sealed {len(hashes)} files in {SEAL.relative_to(ROOT)}")
        return DONE
    state = check_seal()
    if state.sealed:
        out.print("the seal is whole: the core is as the course shipped it")
        return DONE
    out.print("the seal is broken:")
    for line in state.broken:
        out.print(f"  {line}")
    out.print(
        "Nothing bad has happened: trying things out is a good way to read. But runs made now say that the seal was",
        "broken, and are not compared with sealed ones. To go back: git checkout -- course data",
        "Yours, and never sealed: notes/, tests/test_rubric.py, and pick_best between its marks in selection_demo.py.",
        sep="\n",
    )
    return FOUND


if __name__ == "__main__":
    run_command(main)
