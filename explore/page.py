"""A page of the course, as the rooms link to it: /page/?name=milestone_1."""

import marimo

app = marimo.App(width="medium", app_title="RL Foundations: a page")

with app.setup:
    import re

    import marimo as mo

    from course.core.paths import ROOT
    from explore import show

    PAGES = {path.stem: path for path in sorted((ROOT / "docs").glob("*.md"))}
    ELSEWHERE = re.compile(r"(?<!!)\[([^\]]+)\]\((?!http|#|\w+\.md)[^)]*\)")  # links that lead out of docs/ stay words
    LINKS = {  # as the pages have them, and as they are served here
        r"!\[([^\]]*)\]\((diagrams/[^)]+)\)": r"<img alt='\1' src='/docs/\2'>",
        r"\]\((\w+)\.md(#[^)]*)?\)": r"](/page/?name=\1)",
        r"\]\(http://127\.0\.0\.1:\d+/(\w*)/?\)": r"](/\1/)",
    }


@app.cell(hide_code=True)
def _():
    _name = str(mo.query_params().get("name"))
    if _name in PAGES:
        _page = ELSEWHERE.sub(r"\1", PAGES[_name].read_text(encoding="utf-8"))
        for _link, _served in LINKS.items():
            _page = re.sub(_link, _served, _page)
    else:
        _page = "No such page. There are:\n\n" + "\n".join(f"- [{name}](/page/?name={name})" for name in PAGES)
    show.stack(mo.Html('<nav class="ways"><a href="/">All rooms</a></nav>'), mo.md(_page))
    return


if __name__ == "__main__":
    app.run()
