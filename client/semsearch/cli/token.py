"""`semsearch token create`, `list` and `revoke`: who may call a suite.

These change the suite's file of tokens, on the machine where it lies; the services notice within a second or two.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from semsearch import suites
from semsearch.access.v1 import token_file_pb2 as pb
from semsearch.cli import options
from semsearch.cli.output import Output, counted
from semsearch.errors import InvalidRequest
from semsearch.token_file import ROLES, SUITE_KEY, TokenFile

app = typer.Typer(
    help="Say who may call a suite: make, list and revoke tokens.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NAMES = {number: name for name, number in ROLES.items()}
_MAY = {"read": "search and read", "write": "read and change", "admin": "read, change and administer"}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")


class Role(enum.StrEnum):
    """What a token's bearer may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        envvar="SEMSEARCH_TOKENS",
        help="The suite's file of tokens. Default: tokens.json in the data folder.",
        metavar="PATH",
    ),
]


@app.command()
def create(
    caller: Annotated[str, typer.Argument(help="Who gets the token: a person or a program.", metavar="CALLER")],
    role: Annotated[Role, typer.Option(help="What its bearer may do.")],
    collection: Annotated[
        list[str] | None, typer.Option(help="A collection that it is for; may be repeated. Default: all.", metavar="ID")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long it is valid: 30m, 12h, 90d. Default: until it is revoked.", metavar="TIME")
    ] = "",
    file: File = None,
    as_json: options.Json = False,
) -> None:
    """Make a token and print it, once: only its hash is stored.

    A caller may have several. To replace one, make a second one, hand it out, and revoke the first.
    """
    output = Output(as_json)
    tokens = TokenFile(_path(file))
    is_first = not tokens.path.exists()
    until = datetime.now(UTC) + _duration(expires) if expires else None
    token_id, token = tokens.add(caller, role.value, collection or [], until)
    if as_json:
        output.document({"id": token_id, "caller": caller, "token": token})
        return
    typer.echo(token)
    where = f"in {', '.join(collection)}" if collection else "in all collections"
    output.say(f"Token {token_id}: whoever has it may {_MAY[role.value]} {where}. It is shown only now.")
    if is_first:
        output.say(
            f"Start the services with SEMSEARCH_TOKENS={tokens.path.absolute()}; then every call needs a token. On "
            f"other machines of the suite they need a copy of this file and of {SUITE_KEY}, which lies beside it."
        )
    output.say("The command and the Python client send the token that SEMSEARCH_CLIENT_TOKEN has.")


@app.command("list")
def list_tokens(file: File = None, as_json: options.Json = False) -> None:
    """List the tokens, oldest first, without their secrets."""
    output = Output(as_json)
    path = _path(file)
    found = TokenFile(path).tokens()
    if as_json:
        output.document([_plain(each) for each in found])
        return
    if found:
        output.table(
            ["id", "caller", "role", "collections", "created", "expires"],
            [
                [
                    each.id,
                    each.caller,
                    _NAMES.get(each.role, "?"),
                    " ".join(each.collections) or "all",
                    f"{each.create_time.ToDatetime():%Y-%m-%d}",
                    _expiry(each),
                ]
                for each in found
            ],
        )
    output.say(f"{counted(len(found), 'token')} in {path}.")


@app.command()
def revoke(
    token_ids: Annotated[
        list[str] | None, typer.Argument(help="The tokens' ids, as `semsearch token list` has them.", metavar="[ID]...")
    ] = None,
    caller: Annotated[
        list[str] | None, typer.Option(help="Revoke all tokens of this caller; may be repeated.", metavar="CALLER")
    ] = None,
    file: File = None,
    as_json: options.Json = False,
) -> None:
    """Revoke tokens. Within two seconds, calls with them are refused and their streams end."""
    output = Output(as_json)
    if not (token_ids or caller):
        raise InvalidRequest("Name the tokens to revoke by their ids, or a caller with --caller.")
    removed = TokenFile(_path(file)).remove(token_ids or [], caller or [])
    if as_json:
        output.document([_plain(each) for each in removed])
    else:
        output.say(f"{counted(len(removed), 'token')} revoked.")


def _path(file: Path | None) -> Path:
    return file or suites.data_folder() / "tokens.json"


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text!r} is not a duration.", hint="Write minutes, hours or days: 30m, 12h or 90d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _expiry(token: pb.AccessToken) -> str:
    if not token.HasField("expire_time"):
        return "never"
    until = token.expire_time.ToDatetime(UTC)
    return f"{until.astimezone():%Y-%m-%d %H:%M}" + (" (expired)" if until <= datetime.now(UTC) else "")


def _plain(token: pb.AccessToken) -> dict[str, object]:
    return {
        "id": token.id,
        "caller": token.caller,
        "role": _NAMES.get(token.role, ""),
        "collections": list(token.collections),
        "create_time": token.create_time.ToJsonString(),
        "expire_time": token.expire_time.ToJsonString() if token.HasField("expire_time") else None,
    }
