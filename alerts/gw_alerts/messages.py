"""The texts of notifications, in Alertmanager's language (its documentation, "Notification template reference").

They are part of the configuration, so that one file is all that Alertmanager needs. A text says whom it is about, what
that means for them, which command to begin with, where the page is, and where to silence it.
"""

from gw_alerts.thresholds import Severity


def _either(condition: str, then: str, otherwise: str = "") -> str:
    return f"{{{{ if {condition} }}}}{then}" + (f"{{{{ else }}}}{otherwise}" if otherwise else "") + "{{ end }}"


def _with(field: str, text: str, otherwise: str = "") -> str:
    """The text where the field has a value; in it the value is the dot."""
    return f"{{{{ with {field} }}}}{text}" + (f"{{{{ else }}}}{otherwise}" if otherwise else "") + "{{ end }}"


_SPOKEN_OF = "(or .Alerts.Firing .Alerts)"
"""What still fires; when nothing does, what is over."""

_WHOSE = _with(".GroupLabels.cluster", "{{ . }} ") + _with(".GroupLabels.namespace", "{{ . }}", "platform")
"""The tenant, after its cluster where there are several."""
_HOW = _either('eq .Status "firing"', _with(".CommonLabels.severity", "{{ . | toUpper }}", "ALERT"), "RESOLVED")
_WHAT = _with(
    _SPOKEN_OF,
    _with("index . 0", '{{ or .Annotations.summary .Labels.alertname "an alert without a name" }}')
    + _with("slice . 1", ", and {{ len . }} more"),
)

TITLE = f"{_HOW} {_WHOSE}: {_WHAT}"


def _matcher(label: str) -> str:
    """A label of an alert as a silence's matcher, where the alert has it; the URL has it encoded."""
    return _with(f".Labels.{label}", f"{label}%3D%22{{{{ . | urlquery }}}}%22%2C")


_MATCHERS = _matcher("cluster") + _matcher("namespace") + "alertname%3D%22{{ .Labels.alertname | urlquery }}%22"
_SILENCE = f"{{{{ $.ExternalURL }}}}/#/silences/new?filter=%7B{_MATCHERS}%7D"
"""The address of Alertmanager's form for a silence of an alert and its tenant."""


def _line(word: str, annotation: str) -> str:
    return _with(f".Annotations.{annotation}", f"{word}: {{{{ . }}}}\n")


_NAME = "{{ .Annotations.summary }} ({{ .Labels.alertname }})\n"
_ONE = (
    _NAME
    + _line("Impact", "description")
    + _line("Begin with", "command")
    + _line("Runbook", "runbook_url")
    + _line("Dashboard", "dashboard_url")
    + f"Silence: {_SILENCE}\n"
)
BODY = f"{{{{ range .Alerts.Firing }}}}{_ONE}\n{{{{ end }}}}" + _either(
    ".Alerts.Resolved", f"Resolved:\n{{{{ range .Alerts.Resolved }}}}{_NAME}{{{{ end }}}}"
)


def _of_first(text: str) -> str:
    return _with(_SPOKEN_OF, _with("index . 0", text))


RUNBOOK = _of_first("{{ .Annotations.runbook_url }}")
DASHBOARD = _of_first("{{ .Annotations.dashboard_url }}")
SILENCE = _of_first(_SILENCE)
"""Links of the first alert, where a receiver has one place for them; the text has those of all."""


def by_severity(page: str, other: str) -> str:
    """The receiver's own word for how urgent it is."""
    return _either(f'eq .CommonLabels.severity "{Severity.PAGE.value}"', page, other)
