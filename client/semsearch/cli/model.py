"""`semsearch model list`, `pull` and `activate`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.output import Output, counted
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_SERVER, Client
from semsearch.errors import ServerNotReady, ServerUnreachable, TimedOut
from semsearch.values import Model, PullProgress, SwitchProgress

app = typer.Typer(
    help="List models, pull others, and switch to one.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ProgressJson = Annotated[bool, typer.Option("--json", help="Print a line of JSON at each step.")]


@app.command("list")
def list_models(server: options.Server = DEFAULT_SERVER, as_json: options.Json = False) -> None:
    """List the installed models, and those that can be pulled."""
    output = Output(as_json)
    with Client(server) as client:
        found = list(client.list_models())
        recipes = client.list_recipes()
    if as_json:
        output.document(found)
        return
    output.table(
        ["active", "id", "name", "words ", "dimension ", "input "],
        [
            [
                "yes" if model.active else "",
                model.id,
                model.display_name,
                f"{model.word_count:,}",
                str(model.dimension),
                f"{model.input_size} px",
            ]
            for model in found
        ],
    )
    here = {model.id for model in found}
    others = [recipe for recipe in recipes if recipe.model_id not in here]
    if others:
        output.table(
            ["to pull", "name", "download "],
            [[each.name, each.display_name, _download(each.download_bytes)] for each in others],
        )
        output.say(f"Pull one with: semsearch model pull {shlex.quote(others[0].name)}")
    output.say("`semsearch model show ID` has a model's evaluation.")


@app.command()
def show(
    model_id: Annotated[
        str, typer.Argument(help="The model's id, or its part before @; default: the active one.", metavar="ID")
    ] = "",
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Show a model with the metrics of its evaluation."""
    output = Output(as_json)
    with Client(server) as client:
        if model_id and "@" not in model_id:
            model_id = next(
                (each.id for each in client.list_models() if each.id.partition("@")[0] == model_id), model_id
            )
        model = client.get_model(model_id)
    if as_json:
        output.document(model)
        return
    output.table(["measure", "value "], [[name, _measure(value)] for name, value in sorted(model.metrics.items())])
    threshold = f"{model.default_min_relevance:.3g}"
    active = ", active" if model.active else ""
    output.say(f"{model.id}: {model.display_name}; {model.dimension} dimensions, threshold {threshold}{active}.")


@app.command()
def pull(
    recipe: Annotated[str, typer.Argument(help="Name of the recipe, for example mobilenet-v2.", metavar="NAME")],
    server: options.Server = DEFAULT_SERVER,
    as_json: ProgressJson = False,
) -> None:
    """Fetch the files of a recipe and build a model from them. An interrupted pull can be resumed."""
    output = Output(as_json)
    again = shlex.join(["semsearch", "model", "pull", recipe])
    last = PullProgress(0, 0)
    try:
        with (
            Client(server) as client,
            progress_bar(output.messages, of_bytes=True, disable=as_json) as progress,
        ):
            task = progress.add_task(f"pulling {recipe}", total=None)
            for last in client.pull_model(recipe):
                if as_json:
                    output.line(last)
                progress.update(task, completed=last.bytes_done, total=last.bytes_total)
    except KeyboardInterrupt:
        output.say(f"Interrupted; what was fetched stays. Resume with: {again}")
        raise
    if last.model and not as_json:
        use = shlex.join(["semsearch", "model", "activate", last.model.id])
        output.say(f"{last.model.id} is here. Switch to it with: {use}")


@app.command()
def activate(
    model_id: Annotated[str, typer.Argument(help="The model's id, or its part before @.", metavar="ID")],
    server: options.Server = DEFAULT_SERVER,
    as_json: ProgressJson = False,
) -> None:
    """Switch to a model. All images are embedded again; searches and uploads continue."""
    output = Output(as_json)
    again = shlex.join(["semsearch", "model", "activate", model_id])
    last: SwitchProgress | None = None
    try:
        with Client(server) as client, progress_bar(output.messages, disable=as_json) as progress:
            words = progress.add_task("words", total=None)
            task = progress.add_task("images", total=None)
            for last in client.activate_model(model_id):
                if as_json:
                    output.line(last)
                progress.update(words, completed=last.words_done, total=last.words_total or None)
                progress.update(task, completed=last.images_done + last.images_failed, total=last.images_total)
    except KeyboardInterrupt:
        if last is not None:
            output.say(f"The switch continues in the server. Follow it with: {again}")
        raise
    except (ServerUnreachable, ServerNotReady, TimedOut):
        if last is not None:
            output.say(f"The switch resumes when the server is back. Follow it with: {again}")
        raise
    if last and last.model and not as_json:
        output.say(_switched(last, last.model))


def _measure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.3f}"


def _download(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "nothing"


def _switched(last: SwitchProgress, model: Model) -> str:
    """Return the result of a switch as sentences."""
    sentence = f"{model.id} serves now, with {counted(last.images_done, 'image')}."
    if last.images_failed:
        sentence += f" {last.images_failed:,} could not be embedded and were left out; the server's log names them."
    return sentence
