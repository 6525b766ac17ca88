"""Holds dashboards against the types that Grafana's developers generate from its schemas.

Each file is read into those types and written again: what is not in the schema is not there afterwards.
"""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.runtime import Runtime
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, place=""):
    """Where `after` has not what `before` has."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            inside = f"{place}.{key}"
            if key not in after:
                yield f"{inside} is not in the schema"
            else:
                yield from lost(value, after[key], inside)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{place}[{index}]")
    elif before != after:
        yield f"{place} becomes {after!r}"


def main(files):
    plugins.register_default_plugins()
    wrong = 0
    for file in files:
        with open(file, encoding="utf-8") as text:
            dashboard = json.load(text)
        # A panel of a type that is not known would be taken as it is.
        types = sorted({panel["type"] for panel in dashboard["panels"]} - {"row"})
        found = [f"there is no panel {kind!r}" for kind in types if not Runtime().panelcfg_config(kind)]
        try:
            written = JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard))
            found += lost(dashboard, json.loads(written))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            found.append(f"cannot be read: {error!r}")
        for what in found:
            print(f"{file}: {what}")
        wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
