"""An OpenID provider, as far as those who check its tokens see it."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

ISSUER, AUDIENCE = "https://login.example", "semsearch"


class Provider:
    """Signs with one key after another; its key set has all that were not retired."""

    def __init__(self) -> None:
        self._keys: list[ec.EllipticCurvePrivateKey] = []
        self._retired = 0
        self.new_key()

    def new_key(self) -> None:
        self._keys.append(ec.generate_private_key(ec.SECP256R1()))

    def retire_key(self) -> None:
        """Take the oldest key out of the key set."""
        self._retired += 1

    def key_set(self) -> bytes:
        listed = [
            {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": str(number), "use": "sig"}
            for number, key in enumerate(self._keys)
            if number >= self._retired
        ]
        return json.dumps({"keys": [*listed, {"kty": "unknown", "kid": "odd"}]}).encode()

    def token(self, **claims: Any) -> str:
        """Return a token that is valid, unless claims change that; a claim that is None is left out."""
        return jwt.encode(_claims(claims), self._keys[-1], "ES256", {"kid": self._key_id})

    def unsigned_token(self) -> str:
        """Return a token that says it needs no signature."""
        return jwt.encode(_claims({}), None, "none", {"kid": self._key_id})

    def forged_tokens(self) -> Iterator[str]:
        """Yield tokens whose HS256 signature was made with the public key, which everyone has, in its usual forms."""
        public = self._keys[-1].public_key()
        kind = PublicFormat.SubjectPublicKeyInfo
        secrets = [public.public_bytes(encoding, kind) for encoding in (Encoding.PEM, Encoding.DER)]
        secrets.append(json.dumps(ECAlgorithm.to_jwk(public, as_dict=True)).encode())
        for secret in secrets:
            # By hand: the library refuses to use a public key in this way.
            head = {"alg": "HS256", "typ": "JWT", "kid": self._key_id}
            signed = b".".join(base64url_encode(json.dumps(each).encode()) for each in (head, _claims({})))
            yield b".".join([signed, base64url_encode(hmac.digest(secret, signed, "sha256"))]).decode()

    @property
    def _key_id(self) -> str:
        return str(len(self._keys) - 1)


def _claims(changes: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60, "roles": ["semsearch:read"]}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def refused_tokens(provider: Provider) -> Mapping[str, str]:
    """Return tokens that no server may accept, by what is wrong with them; none of them has only expired."""
    own = provider.token()
    return {
        "another issuer": provider.token(iss="https://other.example"),
        "no issuer": provider.token(iss=None),
        "another audience": provider.token(aud="other"),
        "no audience": provider.token(aud=None),
        "no expiry": provider.token(exp=None),
        "nobody's": provider.token(sub=None),
        "not valid yet": provider.token(nbf=time.time() + 3_600),
        "not signed": provider.unsigned_token(),
        **{f"signed with the public key, form {number}": each for number, each in enumerate(provider.forged_tokens())},
        "signed by another provider": Provider().token(),
        "another signature": own[:-4] + ("AAAA" if not own.endswith("AAAA") else "BBBB"),
        "cut off": own[:-4],
        "no token": "a.b.c",
    }
