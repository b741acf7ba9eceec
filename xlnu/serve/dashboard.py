"""The Grafana dashboard: `python -m xlnu.serve.dashboard > cluster/grafana/serving.json`. Its panels ask for what
measures.py counts and for no other number, which the tests hold against the metrics of a server that runs.
"""

import json
import sys
from typing import Any

MODEL = 'model=~"$model"'


def _summed(name: str, by: str = "model", only: str = "", window: str = "rate", over: str = "1m") -> str:
    return f"sum by ({by}) ({window}(ray_xlnu_{name}{{{MODEL}{only}}}[{over}]))"


def _mean(name: str) -> str:
    return f"{_summed(f'{name}_sum')} / {_summed(f'{name}_count')}"


def _quantiles(name: str, *percent: int) -> list[tuple[str, str]]:
    buckets = _summed(f"{name}_bucket", "le")
    return [(f"p{q}", f"histogram_quantile({q / 100}, {buckets})") for q in percent]


_FAILED = ', code=~"429|5.."'
_ALL = _summed("requests_total")
_PADDED, _READ = _summed("batch_padding_total"), _summed("batch_tokens_total")
# title, unit, and what it shows: a legend and a query each
PANELS: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("Requests", "reqps", [("{{model}} {{code}}", _summed("requests_total", "model, code"))]),
    (
        "Refused for load, and failed",
        "percentunit",
        [("{{model}}", f"({_summed('requests_total', only=_FAILED)} or 0 * {_ALL}) / {_ALL}")],
    ),
    ("Time to the answer", "s", _quantiles("request_seconds", 50, 90, 99)),
    ("Wait for a batch", "s", _quantiles("wait_seconds", 50, 99)),
    ("Waiting", "short", [("{{model}}", f"sum by (model) (ray_xlnu_waiting{{{MODEL}}})")]),
    ("Tokens a second", "short", [("{{language}}", f"topk(10, {_summed('tokens_total', 'language')})")]),
    ("Texts of a batch", "short", [("mean, {{model}}", _mean("batch_texts"))]),
    ("Padding of batches", "percentunit", [("{{model}}", f"{_PADDED} / ({_PADDED} + {_READ})")]),
    ("A batch takes", "s", [("mean, {{model}}", _mean("batch_seconds"))]),
    (
        "Asked again, for a replica died",
        "short",
        [("{{model}}", _summed("retries_total", window="increase", over="5m"))],
    ),
]
WIDTH, HEIGHT = 12, 8  # of a panel; a row has 24


def dashboard() -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    panels = [
        {
            "id": number + 1,
            "type": "timeseries",
            "title": title,
            "datasource": source,
            "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "targets": [
                {"refId": chr(65 + i), "datasource": source, "expr": query, "legendFormat": legend}
                for i, (legend, query) in enumerate(shown)
            ],
        }
        for number, (title, unit, shown) in enumerate(PANELS)
    ]
    variables = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "model", "label": "Model", "type": "query", "datasource": source, "refresh": 2,
            "query": {"query": "label_values(ray_xlnu_requests_total, model)", "refId": "models"},
            "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
        },
    ]  # fmt: skip
    return {
        "uid": "xlnu-serving",
        "title": "xlnu: serving",
        "tags": ["xlnu"],
        "schemaVersion": 39,
        "version": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "panels": panels,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1) + "\n")
