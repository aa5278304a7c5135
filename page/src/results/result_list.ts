// The results of one query: pages are fetched as they are needed, and stay. A list is cancelled when another takes its
// place before its first page has come.

import { signal } from "@preact/signals";
import { isAway } from "../api/connection";
import { messageOf, metadataOf, reasonOf, wasCancelled } from "../api/errors";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { UnderstoodTerm, UnknownWord } from "../gen/semsearch/v1/query_pb";
import { asksSomething, type Query } from "../state/query";
import { type Found, listPage, searchPage } from "./pages";

export interface Result {
  image: Image;
  /** null in a list without a query. */
  relevance: number | null;
}

/** What became of the words of a query. */
export interface Understanding {
  understood: UnderstoodTerm[];
  unknown: UnknownWord[];
}

export type Status = "loading" | "ready" | "failed";

const FIRST_PAGE = 60;
const NEXT_PAGE = 300;
const LARGEST_PAGE = 1_000;

export class ResultList {
  readonly status = signal<Status>("loading");
  readonly results = signal<readonly Result[]>([]);
  readonly complete = signal(false);
  readonly understanding = signal<Understanding | null>(null);
  /** Why the list could not be fetched, for a person; empty if no word of the query is known. */
  readonly problem = signal("");
  private token = "";
  private running: Promise<void> | null = null;
  private readonly controller = new AbortController();

  constructor(readonly query: Query) {}

  /** Fetch until there are `count` results, or all. */
  async load(count: number): Promise<void> {
    while (!this.complete.value && this.status.value !== "failed" && this.results.value.length < count) {
      this.running ??= this.fetchPage(count - this.results.value.length).finally(() => {
        this.running = null;
      });
      await this.running;
    }
  }

  /** Give up what is being fetched. */
  cancel(): void {
    this.controller.abort();
  }

  /** Take images out, because they were deleted. */
  remove(ids: ReadonlySet<string>): void {
    this.results.value = this.results.value.filter(({ image }) => !ids.has(image.id));
  }

  private async fetchPage(missing: number): Promise<void> {
    const isFirst = this.token === "";
    const size = Math.min(LARGEST_PAGE, Math.max(missing, isFirst ? FIRST_PAGE : NEXT_PAGE));
    try {
      const fetched = await this.fetch(size);
      this.token = fetched.nextPageToken;
      this.results.value = [...this.results.value, ...fetched.results];
      if (isFirst) this.understanding.value = fetched.understanding;
      this.complete.value = !this.token;
      this.status.value = "ready";
    } catch (error) {
      this.fail(error);
    }
  }

  private fetch(size: number): Promise<Found> {
    const { signal } = this.controller;
    return asksSomething(this.query)
      ? searchPage(this.query, size, this.token, signal)
      : listPage(this.query, size, this.token, signal);
  }

  private fail(error: unknown): void {
    if (wasCancelled(error)) {
      this.status.value = "failed";
      return;
    }
    if (reasonOf(error) === "UNKNOWN_WORDS") {
      this.understanding.value = { understood: [], unknown: suggestionsOf(metadataOf(error).suggestions) };
      this.complete.value = true;
      this.status.value = "ready";
      return;
    }
    this.problem.value = isAway(error) ? "" : messageOf(error);
    this.status.value = "failed";
  }
}

function suggestionsOf(text: string | undefined): UnknownWord[] {
  const words = JSON.parse(text ?? "{}") as Record<string, string[]>;
  return Object.entries(words).map(([word, suggestions]) => ({ word, suggestions }) as UnknownWord);
}
