"""JSON Web Tokens, signed with RS256 (RFC 7515, 7519): how a service account says who it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import orjson

from hub.model import Json


def sign_jwt(claims: Mapping[str, Json], private_key: str) -> str:
    """The token. Raises ValueError if the key is no RSA key in PEM."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = serialization.load_pem_private_key(private_key.replace("\\n", "\n").encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("no RSA key")
    parts = [_encoded(orjson.dumps({"alg": "RS256", "typ": "JWT"})), _encoded(orjson.dumps(dict(claims)))]
    signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, _encoded(signature)])


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
