"""What came of a support bundle: where it is, what is in it, what was removed and what is missing."""

from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.bundle.archive import Written, manifest_of
from gw.ops.bundle.collect import totals
from gw.ops.bundle.model import MEBIBYTE, Bundle
from gw.output.layout import Cell, columns, styled
from gw.output.view import View

_SHOWN = 10


def bundle_view(bundle: Bundle, written: Written) -> View:
    """The file and its manifest."""
    manifest = {key: value for key, value in manifest_of(bundle).items() if key not in ("version", "kind")}
    return View(
        kind="SupportBundle",
        data={"file": str(written.path), "size": written.size, "sha256": written.sha256, **manifest},
        lines=lambda: list(_lines(bundle, written)),
        short=[str(written.path)],
    )


def _lines(bundle: Bundle, written: Written) -> Iterator[Text]:
    yield Text(f"{written.path}: {size_in_words(written.size)}, {counted(len(bundle.files), 'file')}.")
    counts = Counter(file.path.partition("/")[0] for file in bundle.files)
    sizes = Counter[str]()
    for file in bundle.files:
        sizes[file.path.partition("/")[0]] += len(file.content)
    rows: list[list[Cell]] = [
        [name, counted(counts[name], "file") if counts[name] > 1 else "", size_in_words(sizes[name])]
        for name in sorted(counts)
    ]
    yield from columns(rows, indent="  ")
    yield from _removed(bundle)
    cut = [file.path for file in bundle.files if file.cut]
    if cut:
        yield Text.assemble(styled("Not whole:", "warn"), f" {_some(cut)}.")
    for missing in bundle.not_read[:_SHOWN]:
        word = styled("Left out:", "dim") if missing.is_expected else styled("Not read:", "warn")
        yield Text.assemble(word, f" {missing.what}: {missing.reason}.")
    if len(bundle.not_read) > _SHOWN:
        yield Text(f"And {len(bundle.not_read) - _SHOWN} more that were not read; MANIFEST.json lists them.")


def _removed(bundle: Bundle) -> Iterator[Text]:
    if not bundle.request.is_redacted:
        yield Text.assemble(
            styled("Nothing was removed:", "bad"), " keys and tokens that logs or objects held are in it."
        )
    elif found := totals(bundle):
        words = ", ".join(f"{times} by {rule}" for rule, times in found.items())
        yield Text(f"Removed: {words}. MANIFEST.json says where.")
    else:
        yield Text("Removed: nothing looked like a key, a token or a password.")


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def size_in_words(size: int) -> str:
    """With the unit that fits."""
    if size >= MEBIBYTE:
        return f"{size / MEBIBYTE:.1f} MiB"
    return f"{size / 1024:.1f} KiB" if size >= 1024 else f"{size} bytes"
