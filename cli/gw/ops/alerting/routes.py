"""A loaded Alertmanager configuration as types, and where it sends an alert; pure.

Source: Alertmanager documentation, "Configuration" (route, inhibit_rule, matchers): the first matching route below a
route takes an alert, those after it only where it continues; a route without a matching one below it is the end. The
receivers' and routes' names are the only words of the file that are kept: the rest may hold what nobody has to see.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from gw.ops.alerting.expressions import duration_seconds

Labels = Mapping[str, str]

_SIGN = re.compile(r"\s*([a-zA-Z_][\w]*)\s*(=~|!~|!=|=)\s*(?:\"((?:\\.|[^\"\\])*)\"|([^,\"}]*?))\s*(?:,|$)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SUFFIX = "_configs"
"""Of a receiver's keys, each of which is one way to tell somebody."""
_UNKNOWN_SECONDS = 30.0
"""In place of a duration that cannot be read."""


class UnreadableConfiguration(Exception):
    """The configuration has another shape; the text says where."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label of an alert; one that it lacks is empty."""

    name: str
    sign: str
    value: str

    @property
    def text(self) -> str:
        """As a configuration has it."""
        return f'{self.name}{self.sign}"{self.value}"'

    def matches(self, labels: Labels) -> bool:
        """Whether the alert's label is as it says; a regular expression is anchored at both ends."""
        found = labels.get(self.name, "")
        holds = re.fullmatch(self.value, found) is not None if "~" in self.sign else found == self.value
        return holds is not self.sign.startswith("!")


@dataclass(frozen=True, slots=True)
class LoadedRoute:
    """One route with those below it."""

    receiver: str
    matchers: tuple[Matcher, ...]
    routes: tuple["LoadedRoute", ...]
    continues: bool
    group_by: tuple[str, ...]
    wait: str
    interval: str
    repeat: str
    """These three as the file says, else as its parent does, else Alertmanager's default."""
    mute_times: tuple[str, ...] = ()
    active_times: tuple[str, ...] = ()
    """Names of the time intervals in which, and outside of which, it tells nobody; no route has them of its parent."""

    def matches(self, labels: Labels) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def ends(self, labels: Labels) -> Iterator["LoadedRoute"]:
        """The routes that take an alert with these labels, which this one matches."""
        is_taken = False
        for route in self.routes:
            if route.matches(labels):
                is_taken = True
                yield from route.ends(labels)
                if not route.continues:
                    break
        if not is_taken:
            yield self


@dataclass(frozen=True, slots=True)
class LoadedInhibition:
    """One rule: while a source fires, targets with the same `equal` labels notify nobody."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def inhibits(self, source: Labels, target: Labels) -> bool:
        """What is source and target at once is not inhibited by its like."""
        if not (_match(self.source, source) and self.takes(target)):
            return False
        if _match(self.source, target) and self.takes(source):
            return False
        return all(source.get(name, "") == target.get(name, "") for name in self.equal)

    def takes(self, target: Labels) -> bool:
        """Whether an alert with these labels is a target."""
        return _match(self.target, target)


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """One configuration."""

    root: LoadedRoute
    inhibitions: tuple[LoadedInhibition, ...]
    receivers: Mapping[str, tuple[str, ...]]
    """By name: the integrations that tell somebody, such as `webhook`, each as often as it is there."""

    def receivers_of(self, labels: Labels) -> list[str]:
        """Whom an alert with these labels reaches."""
        return [route.receiver for route in self.root.ends(labels)]


def parse_configuration(text: str) -> LoadedConfiguration:
    """Raises UnreadableConfiguration."""
    try:
        content = yaml.safe_load(text)
        receivers = {str(each["name"]): tuple(_ways(each)) for each in content["receivers"]}
        root = _route(content["route"], parent=None)
        inhibitions = tuple(map(_inhibition, content.get("inhibit_rules") or ()))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, re.error) as problem:
        raise UnreadableConfiguration(f"it cannot be read ({type(problem).__name__})") from None
    return LoadedConfiguration(root, inhibitions, receivers)


def _ways(receiver: Mapping[str, Any]) -> Iterator[str]:
    for key, entries in receiver.items():
        if key.endswith(_SUFFIX):
            yield from [key.removesuffix(_SUFFIX)] * len(entries or ())


def _route(entry: Mapping[str, Any], parent: LoadedRoute | None) -> LoadedRoute:
    """What a route does not say it has of its parent."""
    group_by = entry.get("group_by")
    alone = LoadedRoute(
        receiver=str(entry.get("receiver") or (parent.receiver if parent else "")),
        matchers=tuple(_matchers(entry, "matchers", "match", "match_re")),
        routes=(),
        continues=bool(entry.get("continue")),
        group_by=tuple(map(str, group_by)) if group_by is not None else parent.group_by if parent else (),
        wait=str(entry.get("group_wait") or (parent.wait if parent else "30s")),
        interval=str(entry.get("group_interval") or (parent.interval if parent else "5m")),
        repeat=str(entry.get("repeat_interval") or (parent.repeat if parent else "4h")),
        mute_times=tuple(map(str, entry.get("mute_time_intervals") or ())),
        active_times=tuple(map(str, entry.get("active_time_intervals") or ())),
    )
    return replace(alone, routes=tuple(_route(each, alone) for each in entry.get("routes") or ()))


def _inhibition(entry: Mapping[str, Any]) -> LoadedInhibition:
    return LoadedInhibition(
        tuple(_matchers(entry, "source_matchers", "source_match", "source_match_re")),
        tuple(_matchers(entry, "target_matchers", "target_match", "target_match_re")),
        tuple(map(str, entry.get("equal") or ())),
    )


def _matchers(entry: Mapping[str, Any], strings: str, equal: str, regex: str) -> Iterator[Matcher]:
    """The newer form, and the two older ones that Alertmanager still reads."""
    for text in entry.get(strings) or ():
        yield from _parsed(str(text))
    for key, sign in ((equal, "="), (regex, "=~")):
        for name, value in (entry.get(key) or {}).items():
            yield _matcher(str(name), sign, str(value))


def _parsed(text: str) -> Iterator[Matcher]:
    rest = text.strip().removeprefix("{").removesuffix("}").strip()
    while rest:
        found = _SIGN.match(rest)
        if found is None:
            raise ValueError(text)
        name, sign, quoted, plain = found.groups()
        yield _matcher(name, sign, plain if quoted is None else _ESCAPE.sub(_unescaped, quoted))
        rest = rest[found.end() :].strip()


def _matcher(name: str, sign: str, value: str) -> Matcher:
    if "~" in sign:
        re.compile(value)
    return Matcher(name, sign, value)


def _unescaped(escape: re.Match[str]) -> str:
    """As Alertmanager reads a quoted value: other backslashes are a regular expression's own."""
    return {"n": "\n", '"': '"', "\\": "\\"}.get(escape[1], escape[0])


def _match(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def seconds_of(duration: str) -> float:
    """A duration of a loaded configuration."""
    try:
        return duration_seconds(duration)
    except ValueError:
        return _UNKNOWN_SECONDS
