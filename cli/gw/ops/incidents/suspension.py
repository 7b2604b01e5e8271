"""Keeps a compromised App out of its installations until the key is changed, and lets it in again.

A revoked key does not end the tokens that it minted, which live for up to an hour; a suspended installation refuses
them (GitHub docs, "Suspending a GitHub App installation"; REST docs, "Suspend an app installation").
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from gw.errors import Refused
from gw.ops.incidents.engine import Outcome, Proof, Task, Truth
from gw.ops.incidents.site import Site
from gw.sources.incidents import Target

TOKEN_LIFETIME = timedelta(hours=1)
"""Of an installation token (GitHub docs, "Generating an installation access token for a GitHub App")."""


async def suspend(site: Site) -> Outcome | Task:
    """Every installation suspended: with a new key by gw, without one by a person. Raises GwError."""
    if site.new_key is None:
        return Task(
            (
                "Suspend the App's installations; tokens that the key has minted work until then.",
                *_pages(site, "Suspend"),
                "With a new key already made, gw does it: --private-key-file FILE.",
            )
        )
    return await _set(site, is_suspended=True)


async def lift(site: Site) -> Outcome | Task:
    """Every installation open to the App again, by the new key; raises GwError."""
    remark = _of_old_tokens(site)
    result = await _set(site, is_suspended=False, remark=remark)
    if isinstance(result, Task) or not remark:
        return result
    return Outcome(f"{result.words}; {remark}", result.evidence)


async def _set(site: Site, *, is_suspended: bool, remark: str = "") -> Outcome | Task:
    verb, word = ("Suspend", "suspended") if is_suspended else ("Unsuspend", "open to the App")
    open_ones = await _in_another_state(site, is_suspended=is_suspended)
    if open_ones:
        ids = ", ".join(target.installation_id for target in open_ones)
        if not site.agrees(f"{verb} the installation {ids} at GitHub{f' ({remark})' if remark else ''}?"):
            raise Refused(f"the installation {ids} was left as it is", "Run it again once it is right.")
    for target in open_ones:
        query = site.needed_query(target)
        await (site.github.suspend(query) if is_suspended else site.github.unsuspend(query))
    if left := await _in_another_state(site, is_suspended=is_suspended):

        async def proof() -> Proof:
            still = await _in_another_state(site, is_suspended=is_suspended)
            return (
                Proof(Truth.DISPROVEN, f"GitHub does not say that it is {word}") if still else Proof(Truth.PROVEN, word)
            )

        return Task((f"GitHub answered, and {', '.join(map(str, left))} is not {word}.", *_pages(site, verb)), proof)
    ids = ", ".join(target.installation_id for target in installations(site.incident.targets))
    return Outcome(f"installation {ids} {word}, says GitHub")


async def _in_another_state(site: Site, *, is_suspended: bool) -> list[Target]:
    found = []
    for target in installations(site.incident.targets):
        if ((await site.github.look(site.needed_query(target))).suspended_at is not None) is not is_suspended:
            found.append(target)
    return found


def installations(targets: tuple[Target, ...]) -> list[Target]:
    """One target for each installation."""
    return list({target.installation_id: target for target in reversed(targets)}.values())[::-1]


def _pages(site: Site, verb: str) -> list[str]:
    app_id = site.incident.facts.get("appId", "")
    return [
        f"As the App's owner: Settings > Developer settings > GitHub Apps > the App {app_id} > Advanced > {verb}.",
        f"As the account's owner: Settings > GitHub Apps > Configure > {verb}:",
        *(f"  {settings_url(target)}" for target in installations(site.incident.targets)),
    ]


def settings_url(target: Target) -> str:
    """The settings page of an organization's installation."""
    base, owner = owner_of(target)
    return f"{base}/organizations/{owner}/settings/installations/{target.installation_id}"


def owner_of(target: Target) -> tuple[str, str]:
    """The host's address, and the account whose jobs the gateway runs."""
    parts = urlsplit(target.github_url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/").partition("/")[0]


def _of_old_tokens(site: Site) -> str:
    """Until when a token may live that the old key minted: the last moment is the revocation's."""
    revoked = site.incident.step("revoke").at
    if revoked is None:
        return ""
    end: datetime = revoked + TOKEN_LIFETIME
    if end <= site.clock.now():
        return ""
    return f"tokens that the old key minted may work again until {end:%H:%M} UTC"
