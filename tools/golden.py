"""`python -m tools.golden`: write the golden vectors of every model beside it.

Run it after a model was trained or converted anew; commit what it writes with the model. They
travel with the models, and a device compares before it runs a release (`agent.update.self_test`).
"""

from __future__ import annotations

import sys

from agent.inference import golden
from agent.inference.manifest import SETS, load_manifest, models_folder
from agent.update.self_test import answers
from tools.common.files import save_atomically


def main() -> int:
    """Write them all; returns 0."""
    folder = models_folder(None)
    for which in SETS:
        manifest = load_manifest(folder, which)
        for name, entry in {**manifest.models, **manifest.weights}.items():
            path = golden.path_of(entry.file)
            data = golden.record(answers(manifest, name))
            save_atomically(path, data)
            print(f"{path.relative_to(folder)}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
