"""Why a sign-in or a request is refused."""

from domain.errors import RateLimited, WattwardenError


class SignInRefused(WattwardenError):
    """The name or the password is not right, or the user is disabled; it is not said which."""

    def __init__(self, words: str = "the name or the password is not right") -> None:
        super().__init__(words)


class TooOften(RateLimited):
    """Something was tried too often; `retry_after_s` says when it may be tried again."""

    def __init__(self, what: str, retry_after_s: int) -> None:
        super().__init__(
            f"{what} was tried too often; try again in {retry_after_s} s", retry_after_s
        )
