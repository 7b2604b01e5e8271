"""The release files and the `gw install` commands that pages show are taken by `gw install`, on a new cluster, too."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions_gateway.api.images import PROXY_IMAGE

from .rig import Gw

ROOT = Path(__file__).parents[2]
PROCEDURES = ROOT / "runbooks" / "procedures"
BLOCK = re.compile(r"^(?P<margin> *)```(?P<kind>\w+)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
PLACES = {
    "RELEASE": "release.yaml",
    "IMAGE": f"registry.example.com/actions-gateway/controller@sha256:{'0123456789abcdef' * 4}",
    "MIRROR": f"registry.example.com/mirror/envoy@sha256:{'0123456789abcdef' * 4}",
    "HOST=ADDRESS": "ghes.example.com=10.1.2.3/32:443",
    "CIDR": "10.1.2.0/24",
}
"""What a person fills in for the places that pages declare."""
RELEASE_PAGES = ("build-images", "install")
"""Each shows a whole release file, and names the proxies' image that the release is made for."""


def blocks(page: Path, *kinds: str) -> Iterator[str]:
    """The fenced blocks of a page, without the margin that a list gives them."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] in kinds:
            lines = (line.removeprefix(match["margin"]) for line in match["text"].splitlines())
            # A placeholder stands for what a registry answers; digests are 64 hex digits.
            yield "\n".join(lines).replace("DIGEST", "0123456789abcdef" * 4)


def release_file(page: str) -> str:
    """The one release file that a page shows."""
    (text,) = (text for text in blocks(PROCEDURES / f"{page}.md", "yaml") if text.startswith("version:"))
    return text


def installing(page: Path) -> Iterator[list[str]]:
    """The arguments of each `gw install` that a page shows on a line of its own."""
    for text in blocks(page, "sh", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:2] == ["gw", "install"]:
                yield words[2 : words.index(">") if ">" in words else None]


SHOWN = [
    (page.stem, arguments)
    for page in (ROOT / "README.md", *sorted(PROCEDURES.glob("*.md")))
    for arguments in installing(page)
]


@pytest.mark.parametrize("release_page", RELEASE_PAGES)
@pytest.mark.parametrize(
    ("page", "arguments"), SHOWN, ids=lambda part: part if isinstance(part, str) else shlex.join(part)
)
def test_a_shown_command_takes_a_shown_release_file_where_nothing_is_installed(
    page: str, arguments: list[str], release_page: str, gw: Gw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("release.yaml").write_text(release_file(release_page), encoding="utf-8")
    filled = [PLACES.get(argument, argument) for argument in arguments]
    answer = gw("install", *filled, *(() if "--export" in filled else ("--dry-run",)))
    assert answer.code == 0, answer


def test_the_pages_of_a_first_installation_show_commands() -> None:
    assert {"README", "build-images", "install", "upgrade"} <= {page for page, _ in SHOWN}


@pytest.mark.parametrize("page", RELEASE_PAGES)
def test_a_page_with_a_release_file_names_the_proxys_image_of_this_release(page: str) -> None:
    assert PROXY_IMAGE in (PROCEDURES / f"{page}.md").read_text(encoding="utf-8")
