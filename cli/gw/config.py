"""The user's settings file: the third of flag > GW_* environment > file > discovery.

`$GW_CONFIG`, else `gw/config.yaml` below `$XDG_CONFIG_HOME` (`~/.config`). It may be absent; what it holds must be
right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from gw.errors import Refused


@dataclass(frozen=True, slots=True)
class Config:
    """Defaults for options that were not given."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    output: str | None = None
    prometheus_url: str | None = None
    alertmanager_url: str | None = None


def config_path(environment: Mapping[str, str]) -> Path:
    """Where the file is looked for."""
    if named := environment.get("GW_CONFIG"):
        return Path(named).expanduser()
    base = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "gw" / "config.yaml"


def read_config(environment: Mapping[str, str]) -> Config:
    """The settings; raises Refused that names file and key. Only an existing file costs the YAML import."""
    path = config_path(environment)
    try:
        text = path.read_text()
    except FileNotFoundError:
        if environment.get("GW_CONFIG"):
            raise Refused(
                f"GW_CONFIG names {path}, which does not exist", "Unset GW_CONFIG or make the file."
            ) from None
        return Config()
    except OSError as problem:
        raise Refused(f"the settings file {path} cannot be read: {problem.strerror}", "Make it readable.") from problem
    return _parse(path, text)


def _parse(path: Path, text: str) -> Config:
    import yaml

    known = [field.name for field in fields(Config)]
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Refused(
            f"the settings file {path}{where} is no YAML", f"It holds lines like {known[0]}: VALUE."
        ) from problem
    if data is None:
        return Config()
    if not isinstance(data, dict):
        raise Refused(f"the settings file {path} is no mapping", f"It holds lines like {known[0]}: VALUE.")
    for key, value in data.items():
        if key not in known:
            raise Refused(f"the settings file {path} has the unknown key {key!r}", f"Known keys: {', '.join(known)}.")
        if not isinstance(value, str):
            raise Refused(f"the key {key!r} of the settings file {path} is no text", "Put the value in quotes.")
    return Config(**data)
