"""Prints which distributions provide each importable top-level name, as JSON."""

import json
from importlib.metadata import packages_distributions

found = {name: sorted(set(distributions)) for name, distributions in packages_distributions().items()}
print(json.dumps(found, sort_keys=True))
