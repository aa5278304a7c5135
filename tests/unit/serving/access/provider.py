"""An OpenID provider, as far as those who check its tokens see it."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER, AUDIENCE = "https://login.example", "semsearch"


class Provider:
    """Signs with one key after another; its key set has all of them."""

    def __init__(self) -> None:
        self._keys: list[ec.EllipticCurvePrivateKey] = []
        self.new_key()

    def new_key(self) -> None:
        self._keys.append(ec.generate_private_key(ec.SECP256R1()))

    def key_set(self) -> bytes:
        listed = [
            {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": str(number), "use": "sig"}
            for number, key in enumerate(self._keys)
        ]
        return json.dumps({"keys": [*listed, {"kty": "unknown", "kid": "odd"}]}).encode()

    def token(self, **claims: Any) -> str:
        """Return a token that is valid, unless claims change that; a claim that is None is left out."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60, "roles": ["semsearch:read"]}
        kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(kept, self._keys[-1], "ES256", {"kid": str(len(self._keys) - 1)})
