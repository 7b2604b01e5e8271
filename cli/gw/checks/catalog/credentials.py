"""Checks of a gateway's App credential, by what its agent or GitHub says of it: no check reads a Secret."""

from collections.abc import Callable, Iterator, Mapping

from actions_gateway.api.conditions import ConditionStatus, ConditionType, Reason
from actions_gateway.github.urls import needed_permissions, scope_of
from gw.checks.catalog.causes import Reports, look, unanswered
from gw.checks.catalog.gateway import served, subject_of, told
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import lasting, seconds_since
from gw.sources.facts import Facts, Known, Missing, Need
from gw.sources.gateways import ConditionFact, GatewayFact
from gw.sources.pods import PodRole
from gw_alerts.thresholds import (
    GATEWAY_NOT_READY,
    GITHUB_UNREACHABLE,
    PERMISSION_MISSING,
    SESSION_GAP_SECONDS,
    TOKEN_EXPIRED_SECONDS,
    TOKEN_LEFT_SECONDS,
    Severity,
)


def _available(facts: Facts) -> Iterator[Finding]:
    for gateway, _, tried in _tried(facts):
        subject = subject_of(gateway)
        if isinstance(tried, Finding):
            yield tried
        elif tried.reason == Reason.EDITED_SECRET_UNUSABLE:
            yield ok(
                subject, f"the agent works on with what it read of the Secret {gateway.secret_name} before its edit"
            )
        elif tried.is_true:
            is_permission = tried.reason == Reason.PERMISSION_MISSING
            yield problem(
                subject,
                f"the App credential does not work: {told(tried)}",
                since=tried.since,
                evidence=(f"Secret {gateway.secret_name}, {gateway.github_url}",),
                next_step=look(gateway.namespace, "credential.permissions")
                if is_permission
                else f"gw tenant show {gateway.namespace}",
            )
        else:
            key = gateway.credential.key_fingerprint if gateway.credential is not None else ""
            # GitHub's API does not tell how old a key is.
            age = f"the age of its key {key}".rstrip()
            yield ok(subject, f"the Secret {gateway.secret_name} works; {age} is in the App's settings at GitHub")


def _edited(facts: Facts) -> Iterator[Finding]:
    for gateway, _, tried in _tried(facts):
        subject = subject_of(gateway)
        if isinstance(tried, Finding):
            yield tried
        elif tried.reason == Reason.EDITED_SECRET_UNUSABLE:
            yield problem(
                subject,
                f"the next restart of the agent ends its work: {told(tried)}",
                since=tried.since,
                evidence=(f"Secret {gateway.secret_name}",),
                next_step=f"gw tenant show {gateway.namespace}",
            )
        elif tried.is_true:
            yield skipped(subject, "its credential does not work in the first place; see credential.available")
        elif tried.reason == Reason.SECRET_EDITED:
            yield ok(subject, told(tried))
        else:
            yield ok(subject, f"the Secret {gateway.secret_name} is as the agent read it")


def _permissions(facts: Facts) -> Iterator[Finding]:
    """As GitHub says itself where it was asked, else as the gateway's status says."""
    if isinstance(facts.github, Missing):
        yield unknown("", facts.github.reason, next_step=facts.github.next_step, is_lasting=facts.github.is_lasting)
    asked = facts.github.value if isinstance(facts.github, Known) else None
    for gateway, _, tried in _tried(facts):
        subject = subject_of(gateway)
        at_github = asked.permissions.get(gateway.namespace) if asked is not None else None
        granted = gateway.credential.permissions if gateway.credential is not None else {}
        is_refused = isinstance(tried, ConditionFact) and tried.reason == Reason.PERMISSION_MISSING
        if at_github is not None:
            yield _judged(gateway, at_github, tried)
        elif isinstance(tried, Finding):
            yield tried
        elif _is_broken(tried) and not is_refused:
            yield skipped(subject, "its credential does not work in the first place; see credential.available")
        elif not granted and is_refused:
            yield _lacking(gateway, tried, [told(tried)], PERMISSION_MISSING.severity, "register runners")
        elif not granted:
            yield unknown(subject, "its status says nothing of permissions yet")
        else:
            yield _judged(gateway, granted, tried)


def _judged(gateway: GatewayFact, granted: Mapping[str, str], tried: ConditionFact | Finding) -> Finding:
    """What the installation grants beside what registering runners and rerunning jobs takes."""
    subject = subject_of(gateway)
    try:
        needed = needed_permissions(scope_of(gateway.github_url))
    except ValueError:
        return skipped(subject, f"{gateway.github_url} is no address of runners; see gateway.ready")
    if "/enterprises/" in gateway.github_url:
        needed = {"actions": needed["actions"]}  # Enterprises grant the rest outside of the App's permissions.
    lacking = {name: level for name, level in needed.items() if granted.get(name) != level}
    words = [f"{name}: {level} is needed, {granted.get(name, 'none')} is granted" for name, level in lacking.items()]
    if not lacking:
        if isinstance(tried, ConditionFact) and tried.reason == Reason.PERMISSION_MISSING:
            return _lacking(gateway, tried, [told(tried)], PERMISSION_MISSING.severity, "register runners")
        return ok(subject, ", ".join(f"{name}: {level}" for name, level in needed.items()))
    if set(lacking) == {"actions"}:
        return _lacking(gateway, tried, words, Severity.TICKET, "rerun lost jobs")
    return _lacking(gateway, tried, words, PERMISSION_MISSING.severity, "register runners")


def _lacking(
    gateway: GatewayFact, tried: ConditionFact | Finding, words: list[str], severity: Severity, deed: str
) -> Finding:
    app = f"the App {gateway.credential.app_id}" if gateway.credential and gateway.credential.app_id else "the App"
    return problem(
        subject_of(gateway),
        f"the App's installation may not {deed}",
        since=tried.since if isinstance(tried, ConditionFact) and tried.is_true else None,
        evidence=tuple(words),
        next_step=f"grant it in the settings of {app} at GitHub and accept it in the installation; "
        f"then: {look(gateway.namespace, 'credential.permissions')}",
        severity=severity,
    )


def _token(facts: Facts) -> Iterator[Finding]:
    for gateway, reports, tried in _tried(facts):
        subject = subject_of(gateway)
        ends = [group.token_expires_at for group in reports.groups_of(gateway) if group.token_expires_at]
        if gateway.credential is not None and gateway.credential.token_expires_at is not None:
            ends.append(gateway.credential.token_expires_at)
        if isinstance(tried, Finding):
            yield tried
        elif _is_broken(tried):
            yield skipped(subject, "its credential gets no token at all; see credential.available")
        elif not ends:
            yield unknown(subject, "its status says nothing of a token yet")
        else:
            left_seconds = (max(ends) - facts.now).total_seconds()
            logs = f"gw logs agent -n {gateway.namespace}"
            if left_seconds <= TOKEN_EXPIRED_SECONDS.value:
                yield problem(subject, "its installation token has run out", since=max(ends), next_step=logs)
            elif left_seconds < TOKEN_LEFT_SECONDS.value:
                yield problem(
                    subject,
                    f"its installation token ends in {lasting(left_seconds)} and is not renewed",
                    next_step=logs,
                    severity=TOKEN_LEFT_SECONDS.severity,
                )
            else:
                yield ok(subject, f"valid for {lasting(left_seconds)}, renewed before its end")


def _github(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for gateway in served(facts):
        subject, tried = subject_of(gateway), reports.latest(gateway, ConditionType.CREDENTIAL_UNAVAILABLE)
        has_proxy = bool(reports.ready_pods(gateway.namespace, PodRole.PROXY))
        silent = [
            entry for group in reports.groups_of(gateway) if (entry := unanswered(group)) and _is_old(entry, facts)
        ]
        has_no_token = tried is not None and tried.reason == Reason.GITHUB_UNREACHABLE
        if gateway.wants_no_agent:
            yield skipped(subject, f"nothing of it asks GitHub: the gateway is {gateway.intention}")
        elif not gateway.group_names:
            yield skipped(subject, "it has no runner groups, so nothing of it asks GitHub")
        elif not reports.has_agent(gateway.namespace):
            yield unknown(subject, "no agent is ready to ask GitHub; see agent.available")
        elif (silent or has_no_token) and not has_proxy:
            yield unknown(subject, "nothing passes without a proxy, so GitHub may be well; see gateway.proxy")
        elif tried is not None and has_no_token:
            words = "GitHub gives its agent no usable answer, and its token has run out"
            yield _no_answer(gateway, tried, words)
        elif silent:
            yield _no_answer(gateway, silent[0], "GitHub gives its agent no usable answer")
        elif tried is None or tried.status == ConditionStatus.UNKNOWN:
            yield unknown(subject, "no agent has reported on GitHub yet")
        else:
            # An open session that GitHub does not answer is told by the age of its last poll: session.polling.
            yield ok(subject, "its agent reports no silence of GitHub")


def _no_answer(gateway: GatewayFact, told_by: ConditionFact, words: str) -> Finding:
    logs = f"gw logs proxy -n {gateway.namespace}"
    return problem(
        subject_of(gateway),
        words,
        since=told_by.since,
        evidence=(told(told_by), gateway.github_url),
        next_step="gw health --check clock.agrees" if "clock" in told_by.message else logs,
    )


def _is_old(entry: ConditionFact, facts: Facts) -> bool:
    """Whether it has lasted for longer than a group may be without a session."""
    age_seconds = seconds_since(entry.since, facts.now)
    return age_seconds is not None and age_seconds > SESSION_GAP_SECONDS.value


def _tried(facts: Facts) -> Iterator[tuple[GatewayFact, Reports, ConditionFact | Finding]]:
    """What the agents say of the credentials now; a finding in its place where none is wanted, or none can tell."""
    reports = Reports(facts)
    for gateway in served(facts):
        subject, kind = subject_of(gateway), ConditionType.CREDENTIAL_UNAVAILABLE
        entry = reports.latest(gateway, kind)
        result: ConditionFact | Finding
        if gateway.wants_no_agent:
            result = skipped(subject, f"no agent is there to try it: the gateway is {gateway.intention}")
        elif not gateway.group_names:
            result = skipped(subject, "it has no runner groups, so nothing tries it")
        elif not reports.has_agent(gateway.namespace):
            result = unknown(subject, f"no agent is ready to try the Secret {gateway.secret_name}; see agent.available")
        elif entry is not None and entry.reason == Reason.GITHUB_UNREACHABLE:
            result = unknown(
                subject,
                f"GitHub does not answer, so nothing is known about the Secret {gateway.secret_name}; "
                "see github.reachable",
            )
        elif entry is None or entry.status == ConditionStatus.UNKNOWN or entry.reason == Reason.CREDENTIAL_UNKNOWN:
            result = unknown(subject, f"no agent has reported on the Secret {gateway.secret_name} yet")
        else:
            result = entry
        yield gateway, reports, result


def _is_broken(tried: ConditionFact) -> bool:
    return tried.is_true and tried.reason != Reason.EDITED_SECRET_UNUSABLE


_REPORTED = frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS})


def _check(
    check_id: str,
    title: str,
    severity: Severity,
    run: Callable[[Facts], Iterator[Finding]],
    *,
    category: Category = Category.CREDENTIALS,
    looks_at: str,
    also: frozenset[Need] = frozenset(),
) -> Check:
    return Check(check_id, title, severity, Scope.TENANT, _REPORTED | also, run, category=category, looks_at=looks_at)


CHECKS: tuple[Check, ...] = (
    _check(
        "credential.available",
        "Every App credential works",
        GATEWAY_NOT_READY.severity,
        _available,
        looks_at="the condition CredentialUnavailable of RunnerGroups and ActionsGateways, while an agent is ready",
    ),
    _check(
        "credential.edited",
        "No App Secret was made unusable by an edit",
        Severity.TICKET,
        _edited,
        looks_at="the condition CredentialUnavailable of RunnerGroups and ActionsGateways, for edits of the Secret",
    ),
    _check(
        "credential.permissions",
        "Every App may register runners and rerun jobs",
        PERMISSION_MISSING.severity,
        _permissions,
        looks_at="the permissions that GitHub names to who has the App's key, else those in every ActionsGateway's "
        "status, beside what registering and rerunning takes",
        also=frozenset({Need.GITHUB}),
    ),
    _check(
        "credential.token",
        "Every agent has a token that it renews",
        TOKEN_EXPIRED_SECONDS.severity,
        _token,
        looks_at="the end of the installation token in the statuses of RunnerGroups and ActionsGateways",
    ),
    _check(
        "github.reachable",
        "GitHub answers every agent",
        GITHUB_UNREACHABLE.severity,
        _github,
        category=Category.GITHUB,
        looks_at="what agents report of tokens and sessions that GitHub does not answer, while their proxies are ready",
    ),
)
