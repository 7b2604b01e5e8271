"""Where the pages are, and which one is meant. They come with gw, so that they are read without any cluster."""

import difflib
from collections.abc import Iterator
from pathlib import Path

import gw
from gw.errors import Refused
from gw.ops.runbook.model import Kind, Page, Section
from gw.ops.runbook.parsing import parse_page

_FOLDERS = {Kind.PROCEDURE: "procedures", Kind.ALERT: "alerts", Kind.CHECK: "checks"}
QUICK_REFERENCE = "quick-reference"
ESCALATION = "escalation"
"""Who is called next: the one page that every procedure links to."""
REFERENCE = (QUICK_REFERENCE, ESCALATION)
"""The pages that are no procedure and that nobody is sent to by an alert or a check."""


def pages_folder() -> Path:
    """The folder of the pages: inside of the installed package, else that of the work tree."""
    package = Path(gw.__file__).parent
    installed = package / "runbooks"
    return installed if installed.is_dir() else package.parents[1] / "runbooks"


def read_library(folder: Path | None = None) -> tuple[Page, ...]:
    """Every page, procedures first, by name; raises PageProblem for one that is not as it has to be."""
    return tuple(_pages(folder or pages_folder()))


def find_page(pages: tuple[Page, ...], wanted: str) -> Page:
    """The page of that name, path, check, alert, or notification's link; raises Refused with the nearest names."""
    word = wanted.rpartition("runbooks/")[2].partition("#")[0]
    for page in pages:
        alerts = [alert.casefold() for alert in page.alerts]
        if word in (page.name, page.path) or word.casefold() in alerts:
            return page
    names = [page.name for page in pages] + [alert for page in pages for alert in page.alerts]
    near = difflib.get_close_matches(word, names, n=3)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise Refused(f"there is no page {wanted}", f"{hint}See `gw runbook list`, or look for words: gw runbook search.")


def find_section(page: Page, wanted: str) -> Section:
    """The one section whose title is, or begins with, those words; raises Refused with the titles that there are."""
    lowered = wanted.casefold()
    titles = [section for section in page.sections if section.level > 1]
    exact = [section for section in titles if section.title.casefold() == lowered]
    begun = [section for section in titles if section.title.casefold().startswith(lowered)]
    found = exact or begun
    if len(found) != 1:
        what = f"{page.name} has {'several sections' if found else 'no section'} {wanted!r}"
        raise Refused(what, f"Sections: {', '.join(section.title for section in titles)}.")
    return found[0]


def _pages(folder: Path) -> Iterator[Page]:
    for kind in Kind:
        if kind is Kind.REFERENCE:
            yield from (_page(folder, folder / f"{name}.md", kind) for name in REFERENCE)
        else:
            yield from (_page(folder, path, kind) for path in sorted((folder / _FOLDERS[kind]).glob("*.md")))


def _page(folder: Path, path: Path, kind: Kind) -> Page:
    text = path.read_text(encoding="utf-8")
    return parse_page(text, name=path.name.removesuffix(".md"), path=path.relative_to(folder).as_posix(), kind=kind)
