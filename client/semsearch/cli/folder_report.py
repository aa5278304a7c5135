"""The printed report about the files of a folder."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from semsearch.cli.output import Output
from semsearch.cli.progress import progress_bar
from semsearch.folders.results import FileResult, Outcome, Reason
from semsearch.folders.sync import FolderSync

_SECONDS_A_REFRESH = 0.1
_TEXTS = {
    Outcome.REPLACED: "replaced",
    Outcome.MOVED: "moved",
    Outcome.UNCHANGED: "already there",
    Outcome.DUPLICATE: "with the same bytes as another",
    Outcome.REMOVED: "removed",
    Outcome.GONE: "whose file is gone",
    Outcome.FAILED: "failed",
}
# In a log of changes, these would drown the others.
_QUIET = frozenset({Outcome.UNCHANGED, Outcome.PASSED_OVER, Outcome.GONE})


class FolderReport:
    """Prints and counts the outcomes of files."""

    def __init__(self, output: Output, *, verbose: bool) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._output = output
        self._verbose = verbose
        self._started = time.monotonic()

    def follow(self, sync: FolderSync, results: Iterable[FileResult]) -> None:
        """Count results, with a progress bar over the folder's files."""
        with progress_bar(self._output.messages, disable=self._output.as_json) as self.progress:
            task = self.progress.add_task("files", total=None)
            shown = time.monotonic()
            for done, result in enumerate(results, 1):
                self.count(result)
                if (now := time.monotonic()) > shown + _SECONDS_A_REFRESH:
                    passed_over = self.counts[Outcome.PASSED_OVER]
                    self.progress.update(task, completed=done - passed_over, total=sync.file_count)
                    shown = now

    def count(self, result: FileResult) -> None:
        """Count a result, and print it if it is a failure or the options ask for it."""
        self.counts[result.outcome] += 1
        if result.outcome is Outcome.PASSED_OVER:
            self._reasons[result.reason] += 1
        if self._output.as_json:
            self._output.line(result)
        elif result.outcome is Outcome.FAILED:
            self._output.say(f"{result.path}: {result.problem} ({result.reason})")
        elif self._verbose and result.outcome is Outcome.PASSED_OVER:
            self._output.say(f"{result.path}: passed over, {result.problem}")

    def name(self, result: FileResult) -> None:
        """Count and print a result as `count` does, and print changes too."""
        self.count(result)
        if not self._output.as_json and result.outcome not in _QUIET | {Outcome.FAILED}:
            self._output.say(f"{result.path}: {_TEXTS.get(result.outcome, result.outcome.value)}")

    def sentence(self, *, rate: bool = True) -> str:
        """Return the counts of outcomes as a sentence, with the rate of added images."""
        seconds = time.monotonic() - self._started
        added = self.counts[Outcome.ADDED]
        parts = [f"{added:,} added"]
        if added and rate:
            parts[0] += f" in {seconds:.1f} s ({added / seconds:.1f} images/s)"
        parts += [f"{self.counts[outcome]:,} {text}" for outcome, text in _TEXTS.items() if self.counts[outcome]]
        return ", ".join(parts) + "."

    def summary(self) -> None:
        """Print the counts; files that were passed over are counted by reason."""
        if self._output.as_json:
            counts = {outcome.value: self.counts[outcome] for outcome in Outcome}
            self._output.line({"summary": counts, "passed_over": dict(self._reasons)})
            return
        self._output.say(self.sentence())
        if self._reasons:
            parts = [f"{count:,} {Reason[name].value}" for name, count in self._reasons.most_common()]
            listed = "" if self._verbose else " (--verbose lists them)"
            self._output.say(f"Passed over: {', '.join(parts)}{listed}.")
