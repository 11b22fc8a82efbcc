"""A service account's key, as the Cloud console gives it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from pathlib import Path


def key_file(place: Path, token_uri: str) -> Path:
    """A service account key as the Cloud console gives it."""
    key = rsa.generate_private_key(65537, 2048)
    kind = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()
    held = {
        "type": "service_account",
        "client_email": "sync@project.iam.gserviceaccount.com",
        "private_key": text,
        "private_key_id": "1",
        "project_id": "project",
        "token_uri": token_uri,
    }
    place.write_text(json.dumps(held))
    return place
