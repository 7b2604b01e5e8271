"""Running promtool over the shipped rules and what was scraped."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from gw_alerts.artefacts import render_rules

Entry = dict[str, Any]

_DAY_MINUTES = 1440
_FIRED = re.compile(r'\{alertname="(\w+)"\} (\S+?)(?=[,\s])')


def count_firing(
    promtool: str, folder: Path, inputs: Iterable[Entry], *, minutes: int, scrape: str, evaluation_minutes: int = 1
) -> dict[str, int]:
    """By alert: at how many evaluations after the first one it fired; raises AssertionError where promtool cannot say.

    `inputs` are `input_series`, `scrape` is the time between two of their samples.
    """
    (folder / "rules.yaml").write_text(render_rules())
    looks = list(_looks(minutes))
    test = {"interval": scrape, "input_series": list(inputs), "promql_expr_test": looks}
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{evaluation_minutes}m", "tests": [test]}
    path = folder / "scraped.test.yaml"
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, width=2**30))
    result = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    # Prometheus 2 says what failed on the one, 3 on the other.
    said = result.stdout + result.stderr
    told = re.findall(r"^\s+got: (.*)$", said, re.MULTILINE)
    assert len(told) == len(looks), said
    fired: Counter[str] = Counter()
    for line in told:
        fired.update({name: int(float(count)) for name, count in _FIRED.findall(f"{line} ")})
    return dict(fired)


def _looks(minutes: int) -> Iterator[Entry]:
    """Day by day, since promtool takes ten thousand samples at a time; what it got it says where that is unexpected."""
    for start in range(0, minutes, _DAY_MINUTES):
        end = min(start + _DAY_MINUTES, minutes)
        # Half a minute less than from one evaluation to another, so that the first one is outside in every Prometheus.
        window = f"{(end - start) * 60 - 30}s"
        firing = f'sum by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{window}]))'
        yield {"expr": firing, "eval_time": f"{end}m", "exp_samples": []}
