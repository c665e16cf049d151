"""Settings of signing in: one table with units, checked without connecting."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    model_validator,
)

from api.identity.asker import LOCAL_HOSTS, host_of
from domain.identity import Role

DAY_S = 86_400


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleRule(_Frozen):
    """Whoever has `value` in the claim or attribute `claim` holds `role`."""

    claim: Annotated[str, Field(min_length=1)]
    value: Annotated[str, Field(min_length=1)]
    role: Role


def _safe(url: HttpUrl) -> HttpUrl:
    # Whoever sits between could otherwise vouch for anybody.
    if url.scheme != "https" and host_of(url.host or "") not in LOCAL_HOSTS:
        raise ValueError("must begin with https:// (http only on this machine)")
    return url


SafeUrl = Annotated[HttpUrl, AfterValidator(_safe)]


class _Provider(_Frozen):
    person_claim: Annotated[str, Field(min_length=1)]
    roles: tuple[RoleRule, ...] = ()
    make_users: bool = Field(
        default=True, description="make the user at the first sign-in of a known person"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    ca_file: str = ""

    @model_validator(mode="after")
    def _no_admin_from_outside(self) -> Self:
        # Whoever runs the provider would otherwise run the station.
        if any(rule.role is Role.ADMIN for rule in self.roles):
            raise ValueError("roles: admin can't be given by a provider; use `wattwarden users`")
        return self


class OidcSettings(_Provider):
    """An OpenID Connect provider: code flow with PKCE, keys from its own discovery document.

    `person_claim` names the claim that holds the directory's person id (student number).
    """

    issuer: SafeUrl
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr = SecretStr("")
    scopes: tuple[str, ...] = ("openid", "profile")
    person_claim: Annotated[str, Field(min_length=1)] = "sub"
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"], ...
    ] = ("RS256", "ES256")


class CasSettings(_Provider):
    """A CAS server (version 2 or 3). `person_claim` names an attribute, `user` the user itself."""

    server: SafeUrl
    version: Literal[2, 3] = 3
    person_claim: Annotated[str, Field(min_length=1)] = "user"


class SignInSettings(_Frozen):
    """`[sign_in]` of the site file."""

    public_url: HttpUrl | None = Field(
        default=None, description="address that browsers use; needed for single sign-on"
    )
    session_idle_s: Annotated[int, Field(ge=60, le=30 * DAY_S)] = 7_200
    session_most_s: Annotated[int, Field(ge=60, le=90 * DAY_S)] = 43_200
    sessions_a_user: Annotated[int, Field(ge=1, le=100)] = 10
    token_s: Annotated[int, Field(ge=30, le=900)] = 600
    refresh_s: Annotated[int, Field(ge=300, le=90 * DAY_S)] = 30 * DAY_S
    api_token_days_most: Annotated[int, Field(ge=1, le=1_000)] = 366
    api_tokens_a_user: Annotated[int, Field(ge=1, le=100)] = 10
    code_s: Annotated[int, Field(ge=300, le=30 * DAY_S)] = 3 * DAY_S
    password_least: Annotated[int, Field(ge=10, le=64)] = 10
    token_key: Annotated[int, Field(ge=1)] = Field(
        default=1, description="number of the key that signs access tokens; count up to change it"
    )
    relay_by_occupants: bool = Field(
        default=True, description="occupants may open, and close again, their room's relay"
    )
    oidc: OidcSettings | None = None
    cas: CasSettings | None = None

    @model_validator(mode="after")
    def _address_is_known(self) -> Self:
        if (self.oidc or self.cas) and self.public_url is None:
            raise ValueError("public_url is needed for single sign-on")
        if self.session_idle_s > self.session_most_s:
            raise ValueError("session_idle_s can't be above session_most_s")
        return self
