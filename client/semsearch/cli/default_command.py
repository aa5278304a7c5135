"""Groups of commands that take any other argument for that of a default command: `semsearch index DIR`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup
from typing_extensions import override


class WithDefault(TyperGroup):
    """A group whose command named `default` is meant by any argument that is no command's name, or an option.

    The name stands for the default command's argument in messages, and a user never types it.
    """

    default: str

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the default command before its arguments."""
        commands = {*self.commands, *ctx.help_option_names} - {self.default}
        is_default = args[0] not in commands if args else not self.no_args_is_help
        return super().parse_args(ctx, [self.default, *args] if is_default else args)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Leave that name out of usage lines and errors."""
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == self.default else name), command, rest
