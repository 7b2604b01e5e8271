"""Keys of Apps as text and as documents."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from gw.checks.wording import counted, lasting
from gw.ops.keys.order import Outcome, RotatedKey
from gw.ops.keys.status import AgeSource, AppUse, KeyFact, KeyReport
from gw.ops.keys.verifying import VerifiedKey
from gw.output.changes import carried_view, dry_run_sentence
from gw.output.credentials import UNKNOWN, permission_words, token_words
from gw.output.layout import Cell, age, columns, stamp, styled, unproven_lines
from gw.output.tenants import NO_TENANTS
from gw.output.view import View
from gw.sources.secrets import AppIdentity


def key_report_view(report: KeyReport) -> View:
    """One tenant's key in full, or a line for each tenant; then who shares an App."""
    return View(
        kind="KeyStatus",
        data={
            "at": stamp(report.at),
            "tenant": report.namespace,
            "items": [_key_data(key) for key in report.keys],
            "apps": [_app_data(use) for use in report.apps],
            "unknown": list(report.unknown),
        },
        lines=lambda: list(_report_lines(report)),
        short=[f"{key.gateway.namespace} {_fingerprint(key)}" for key in report.keys],
    )


def verified_key_view(verified: VerifiedKey) -> View:
    """What GitHub confirmed, and whether it is the key in use."""
    return View(
        kind="VerifiedKey",
        data={
            "tenant": verified.gateway.namespace,
            "github_url": verified.gateway.github_url,
            "key": _identity_data(verified.key),
            "app_slug": verified.installation.app_slug,
            "account": verified.installation.account,
            "scope": verified.installation.scope,
            "permissions": dict(verified.installation.permissions),
            "in_use": verified.is_in_use,
        },
        lines=lambda: list(_verified_lines(verified)),
        short=[f"{verified.gateway.namespace} {verified.key.key_fingerprint} accepted"],
    )


def rotated_key_view(rotated: RotatedKey, *, is_shredded: bool) -> View:
    """One sentence for people."""
    return carried_view(
        "RotatedKey",
        rotated.carried,
        _sentence(rotated),
        short=[f"{rotated.carried.plan.subject} {rotated.outcome}"],
        tenant=rotated.carried.plan.subject,
        outcome=rotated.outcome.value,
        key=_identity_data(rotated.key),
        secret=rotated.secret,
        replaced=rotated.replaced,
        resumed=rotated.is_resumed,
        old_deleted=rotated.is_old_deleted,
        shredded=is_shredded,
        tried=rotated.is_tried,
        seconds=round(rotated.took_seconds, 1),
        cause=rotated.cause or None,
        tenants_with_old_key=None if rotated.sharing is None else list(rotated.sharing),
    )


def advice(rotated: RotatedKey) -> list[Text]:
    """What is unproven, and what a person has left to do."""
    tenant, lines = rotated.carried.plan.subject, unproven_lines(rotated.carried.plan.unproven)
    if rotated.sharing:
        lines.append(Text(f"The same old key is used by {', '.join(rotated.sharing)}: rotate theirs, too."))
    elif rotated.sharing is None:
        lines += unproven_lines(["which other tenants use the old key: you may not list the tenants"])
    match rotated.outcome:
        case Outcome.LEFT_TO_GIT:
            owner = ", ".join(rotated.carried.kept_by)
            lines.append(Text(f"{owner} keeps the gateway, so only the Secret {rotated.secret} was made."))
            words = f"Put the fields above into its repository, then run the same command again: it follows {tenant}."
            lines.append(_next(words))
        case Outcome.RETURNED:
            lines.append(
                _next(
                    f"See why with `gw health {tenant}`; {rotated.secret} stays, and the same command takes it again."
                )
            )
        case Outcome.ROTATED:
            words = "Delete the old key in the App's settings at GitHub: until then it works, whatever is deleted here."
            lines.append(_next(words))
            if not rotated.is_old_deleted:
                lines.append(Text(f"       The Secret {rotated.replaced} is still there; --delete-old deletes it."))
    return lines


# -- text


def _report_lines(report: KeyReport) -> Iterator[Text]:
    if not report.keys:
        yield Text(NO_TENANTS)
    elif report.namespace is None:
        rows: list[list[Cell]] = [
            [
                key.gateway.namespace,
                _told(key, "app_id"),
                _told(key, "installation_id"),
                _fingerprint(key),
                _age_words(key, report.at),
                token_words(key.gateway.credential, report.at),
                _permission_words(key.gateway.credential.permissions if key.gateway.credential else {}),
            ]
            for key in report.keys
        ]
        yield from columns(rows, header=("TENANT", "APP", "INSTALLATION", "KEY", "AGE", "TOKEN", "PERMISSIONS"))
    else:
        (key,) = report.keys
        yield from columns(list(_detail_rows(key, report.at)))
    for use in report.apps:
        if len(use.tenants) > 1:
            yield from _use_lines(use)


def _detail_rows(key: KeyFact, now: datetime) -> Iterator[list[Cell]]:
    gateway = key.gateway
    yield ["Tenant", gateway.namespace]
    yield ["Secret", gateway.secret_name]
    yield ["App", _told(key, "app_id")]
    yield ["Installation", _told(key, "installation_id")]
    yield ["Key", _fingerprint(key)]
    yield ["Age", _age_words(key, now)]
    yield ["Token", token_words(gateway.credential, now)]
    yield ["Permissions", _permission_words(gateway.credential.permissions if gateway.credential else {})]


def _use_lines(use: AppUse) -> Iterator[Text]:
    yield Text()
    by_key: dict[str, list[str]] = {}
    for tenant, fingerprint in use.tenants:
        by_key.setdefault(fingerprint or UNKNOWN, []).append(tenant)
    yield styled(f"App {use.app_id} is used by {counted(len(use.tenants), 'tenant')}:", "head")
    rows: list[list[Cell]] = [[fingerprint, ", ".join(tenants)] for fingerprint, tenants in by_key.items()]
    yield from columns(rows, header=("KEY", "TENANTS"), indent="  ")


def _verified_lines(verified: VerifiedKey) -> Iterator[Text]:
    installation, key = verified.installation, verified.key
    slug = f" ({installation.app_slug})" if installation.app_slug else ""
    yield from columns(
        [
            ["Key", f"{key.key_fingerprint} (accepted)"],
            ["App", f"{key.app_id}{slug}"],
            ["Installation", f"{key.installation_id} of {installation.account}, covers {installation.scope}"],
            ["Permissions", _permission_words(installation.permissions)],
            ["In use", _use_words(verified)],
        ]
    )


def _use_words(verified: VerifiedKey) -> str:
    used = verified.gateway.credential
    if used is None:
        return f"{UNKNOWN}: no agent has reported on a key yet"
    if verified.is_in_use:
        return f"yes: {verified.gateway.namespace} works with this key"
    return f"no: {verified.gateway.namespace} works with {used.key_fingerprint or UNKNOWN}"


def _sentence(rotated: RotatedKey) -> str:
    tenant, took = rotated.carried.plan.subject, lasting(rotated.took_seconds)
    new = f"{rotated.key.key_fingerprint} (Secret {rotated.secret})"
    match rotated.outcome:
        case Outcome.DRY_RUN:
            return dry_run_sentence(rotated.carried)
        case Outcome.RETURNED:
            return f"Not rotated: {tenant} works with the key of {rotated.replaced} again. {_capital(rotated.cause)}."
        case Outcome.ROTATED if not rotated.is_tried:
            return f"{tenant} refers to {new}; nothing has tried that key yet."
        case Outcome.ROTATED if not rotated.carried.is_written:
            return f"{tenant} works with {new}; an earlier run has rotated it."
        case _:
            gone = f", and the Secret {rotated.replaced} is deleted" if rotated.is_old_deleted else ""
            return f"Rotated in {took}: {tenant} works with {new}{gone}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _next(words: str) -> Text:
    return Text.assemble(styled("Next:  ", "head"), words)


def _told(key: KeyFact, name: str) -> str:
    return str(getattr(key.gateway.credential, name, "") or UNKNOWN)


def _fingerprint(key: KeyFact) -> str:
    return _told(key, "key_fingerprint")


def _age_words(key: KeyFact, now: datetime) -> str:
    if key.since is None:
        return UNKNOWN
    words = age(key.since, now)
    return words if key.since_from is AgeSource.SECRET else f"{words} or more"


def _permission_words(permissions: Mapping[str, str]) -> str:
    return permission_words(permissions) or UNKNOWN


# -- documents


def _key_data(key: KeyFact) -> dict[str, Any]:
    credential = key.gateway.credential
    return {
        "tenant": key.gateway.namespace,
        "gateway": key.gateway.name,
        "secret": key.gateway.secret_name,
        "app_id": credential.app_id if credential else None,
        "installation_id": credential.installation_id if credential else None,
        "key_fingerprint": credential.key_fingerprint if credential else None,
        "since": stamp(key.since),
        "since_from": key.since_from.value,
        "token_expires_at": stamp(credential.token_expires_at) if credential else None,
        "permissions": dict(credential.permissions) if credential else None,
    }


def _app_data(use: AppUse) -> dict[str, Any]:
    tenants = [{"tenant": tenant, "key_fingerprint": fingerprint or None} for tenant, fingerprint in use.tenants]
    return {"app_id": use.app_id, "tenants": tenants}


def _identity_data(key: AppIdentity) -> dict[str, str]:
    return {
        "app_id": key.app_id,
        "installation_id": key.installation_id,
        "key_fingerprint": key.key_fingerprint,
    }
