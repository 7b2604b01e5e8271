"""Options that several commands share, declared once: name, environment variable, help.

Defaults are None here, so that a command can tell "not given" and fall back to the settings file, then to discovery.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gw.completion import complete_runner_group, complete_tenant
from gw.errors import Refused


class OutputFormat(StrEnum):
    """What standard output holds."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    SHORT = "short"


Output = Annotated[
    OutputFormat | None,
    typer.Option(
        "--output", "-o", envvar="GW_OUTPUT", help="What to print: for people, for programs, or one line per thing."
    ),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        envvar="GW_KUBECONFIG",
        metavar="FILE",
        help="The cluster's kubeconfig. Else as kubectl finds it.",
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", envvar="GW_CONTEXT", metavar="NAME", help="A context of the kubeconfig.")
]
Debug = Annotated[bool, typer.Option("--debug", envvar="GW_DEBUG", help="Show the trace of an error.")]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "--tenant",
        "-n",
        envvar="GW_NAMESPACE",
        metavar="NAME",
        help="The tenant, which is its namespace.",
        autocompletion=complete_tenant,
    ),
]
PrometheusUrl = Annotated[
    str | None,
    typer.Option(
        "--prometheus-url",
        envvar="GW_PROMETHEUS_URL",
        metavar="URL",
        help="The cluster's Prometheus. Else the Service with its label, through the API server.",
    ),
]
AlertmanagerUrl = Annotated[
    str | None,
    typer.Option(
        "--alertmanager-url",
        envvar="GW_ALERTMANAGER_URL",
        metavar="URL",
        help="The cluster's Alertmanager. Else the Service with its label, through the API server.",
    ),
]
Tenant = Annotated[str | None, typer.Argument(metavar="TENANT", help="The tenant.", autocompletion=complete_tenant)]
TenantOrAll = Annotated[
    str | None,
    typer.Argument(metavar="TENANT", help="The tenant. All of them when left out.", autocompletion=complete_tenant),
]
RunnerGroup = Annotated[
    str,
    typer.Argument(
        metavar="GROUP",
        help="The runner group, by its name in the gateway or by its object's.",
        autocompletion=complete_runner_group,
    ),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every tenant.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, let the server check it, write nothing.")]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait until the cluster has taken it.")
]
Export = Annotated[bool, typer.Option("--export", help="Print what belongs into git, and write nothing.")]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="The name that is asked for, so that --yes means that one."),
]


def parse_seconds(text: str, option: str) -> float:
    """The seconds of a duration such as 30s, 5m, 1h30m or 7d; a bare number means seconds. Raises Refused."""
    from actions_gateway.api.durations import parse_duration_seconds

    # Objects in Kubernetes know no days; people do.
    days, rest = (found[1], found[2]) if (found := re.fullmatch(r"([0-9]{1,4})d(.*)", text)) else ("0", text)
    try:
        if found and not rest:
            return int(days) * 86400.0
        seconds = float(rest) if rest.replace(".", "", 1).isdigit() else parse_duration_seconds(rest)
        return int(days) * 86400.0 + seconds
    except ValueError as problem:
        raise Refused(f"{option}: {problem}", f"Write {option} 90s, for example.") from problem
