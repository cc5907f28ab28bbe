"""A page of the course, as the rooms link to it: /page/?name=milestone_1."""

import marimo

app = marimo.App(width="medium", app_title="RL Foundations: a page")

with app.setup:
    import re

    import marimo as mo

    from course.core.paths import ROOT
    from explore import show

    PAGES = {path.stem: path for path in sorted((ROOT / "docs").glob("*.md"))}
    ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)(?!\w+\.md)[^)]*\)")  # links that lead out of docs/


@app.cell(hide_code=True)
def _():
    _name = str(mo.query_params().get("name"))
    if _name in PAGES:
        _page = re.sub(
            r"!\[([^\]]*)\]\((diagrams/[^)]+)\)", r"<img alt='\1' src='/docs/\2'>", PAGES[_name].read_text("utf-8")
        )
        _page = re.sub(r"\]\((\w+)\.md(#[^)]*)?\)", r"](/page/?name=\1)", _page)
        _page = re.sub(r"\]\(https?://(?:127\.0\.0\.1|localhost):\d+/(\w+)/?\)", r"](/\1/)", _page)
        _shown = mo.md(ELSEWHERE.sub(r"\1", _page))
    else:
        _shown = mo.md("\n".join(f"- [{name}](/page/?name={name})" for name in PAGES))
    show.stack(mo.Html('<nav class="ways"><a href="/">All rooms</a></nav>'), _shown)
    return


if __name__ == "__main__":
    app.run()
