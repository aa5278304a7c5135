"""Settings about who may call: tokens, an OpenID provider, and listening without either."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliImplicitFlag, SettingsConfigDict

from serving.field_paths import split_path

# Only public keys: whoever checks tokens with a secret could also make them.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_SUITE_KEY = "suite.key"
_SAFE_ADDRESSES = ("https://", "http://127.0.0.1:", "http://localhost:")


class AccessSettings(BaseSettings):
    """Settings that all services share, so that they accept the same callers, and each other."""

    model_config = SettingsConfigDict(env_prefix="SEMSEARCH_")

    insecure: CliImplicitFlag[bool] = Field(
        False,
        description="Allow listening where other machines reach the service, without encryption or without tokens: for "
        "a network that only trusted machines reach.",
    )
    tokens: str = Field(
        "",
        description="File with the hashes of the tokens that callers may use (`semsearch token` writes it). With it, a "
        "call needs a token. It is read again when it changes.",
    )
    suite_key: str = Field(
        "",
        description="File with the key that the suite's services share, and sign their calls with; empty is suite.key "
        "beside the file of tokens. It is read again when it changes.",
    )
    oidc_issuer: str = Field(
        "",
        description="Issuer of an OpenID provider, as in the claim iss of its tokens; callers may then use these "
        "tokens too.",
    )
    oidc_audience: str = Field(
        "", validate_default=True, description="The claim aud that the provider's tokens for this suite have."
    )
    oidc_keys: str = Field(
        "",
        validate_default=True,
        description="The provider's public keys: the https address of its JWK Set, which is fetched every five "
        "minutes, or a file, which is read again when it changes.",
    )
    oidc_algorithms: str = Field(
        "RS256", description="Algorithms that the provider signs with, with commas between them; no other is accepted."
    )
    oidc_role_claim: str = Field(
        "roles",
        min_length=1,
        description="The claim with a caller's roles, a list or a text with spaces. realm_access.roles is the claim "
        "roles inside realm_access; backticks go around a name that has dots.",
    )
    oidc_role_prefix: str = Field(
        "semsearch:",
        description="What comes before read, write or admin in that claim, so that semsearch:read is the role read.",
    )
    oidc_collections_claim: str = Field(
        "",
        description="The claim with the collections that a caller may use, written like the one with the roles; empty "
        "means that all callers may use all.",
    )

    @field_validator("oidc_audience", "oidc_keys")
    @classmethod
    def _go_with_issuer(cls, text: str, info: ValidationInfo) -> str:
        if bool(text) != bool(info.data.get("oidc_issuer")):
            raise ValueError("SEMSEARCH_OIDC_ISSUER, _AUDIENCE and _KEYS go together: set all three, or none")
        if info.field_name == "oidc_keys" and "://" in text and not text.startswith(_SAFE_ADDRESSES):
            raise ValueError("keys that came over http could be anyone's: give an https address, or a file")
        return text

    @field_validator("oidc_algorithms")
    @classmethod
    def _are_algorithms(cls, text: str) -> str:
        if unknown := {*_listed(text)} - {*_ALGORITHMS}:
            raise ValueError(f"{', '.join(sorted(unknown))} is not one of {', '.join(_ALGORITHMS)}")
        if not _listed(text):
            raise ValueError(f"name at least one of {', '.join(_ALGORITHMS)}")
        return text

    @field_validator("oidc_role_claim", "oidc_collections_claim")
    @classmethod
    def _are_paths(cls, text: str) -> str:
        if text:
            split_path(text)
        return text

    @property
    def knows_callers(self) -> bool:
        """Whether a call needs a token."""
        return bool(self.tokens or self.oidc_issuer)

    @property
    def suite_key_file(self) -> Path:
        """The file with the key that the suite's services share."""
        return Path(self.suite_key) if self.suite_key else Path(self.tokens).with_name(_SUITE_KEY)

    @property
    def oidc_algorithm_names(self) -> tuple[str, ...]:
        """The algorithms that are accepted."""
        return _listed(self.oidc_algorithms)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())
