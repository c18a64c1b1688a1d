from __future__ import annotations

import os
import tempfile
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def read_or_create(path: Path) -> str:
    """
    Return the secret key kept in a file, and make the file, for its owner alone, when there is none.

    Processes that start together agree: the file appears whole, and the first one wins.
    """
    if not path.exists():
        # mkstemp opens with O_EXCL and mode 0600; a link fails when the name exists, a rename does not.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(get_random_secret_key())
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    return path.read_text(encoding="ascii").strip()
