// The results of one query: pages are fetched as they are needed, and stay.
//
// In the order of relevance the whole collection is searched, not only what is relevant enough: the cut is made here,
// so that moving it needs no search, and the nearest below it is known when nothing is above.

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
  /** Whether there are no more. */
  readonly complete = signal(false);
  readonly understanding = signal<Understanding | null>(null);
  /** Why the list could not be fetched, for a person; empty if the gateway was away. */
  readonly problem = signal("");
  /** The cut that applies if the query has none. */
  readonly defaultCut = signal(0);
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

  /** Put changed images in the place of what they were. */
  update(images: readonly Image[]): void {
    const changed = new Map(images.map((image) => [image.id, image]));
    this.results.value = this.results.value.map((result) => {
      const image = changed.get(result.image.id);
      return image ? { ...result, image } : result;
    });
  }

  private async fetchPage(missing: number): Promise<void> {
    const isFirst = this.token === "";
    const size = Math.min(LARGEST_PAGE, Math.max(missing, isFirst ? FIRST_PAGE : NEXT_PAGE));
    try {
      const fetched = await this.fetch(size);
      this.token = fetched.nextPageToken;
      this.results.value = isFirst ? fetched.results : [...this.results.value, ...fetched.results];
      if (isFirst) {
        this.understanding.value = fetched.understanding;
        this.defaultCut.value = fetched.defaultCut;
      }
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
    if (reasonOf(error) === "UNKNOWN_WORDS") {
      this.understanding.value = { understood: [], unknown: suggestionsOf(metadataOf(error).suggestions) };
      this.complete.value = true;
      this.status.value = "ready";
      return;
    }
    this.problem.value = isAway(error) || wasCancelled(error) ? "" : messageOf(error);
    this.status.value = "failed";
  }
}

function suggestionsOf(text: string | undefined): UnknownWord[] {
  const words = JSON.parse(text ?? "{}") as Record<string, string[]>;
  return Object.entries(words).map(([word, suggestions]) => ({ word, suggestions }) as UnknownWord);
}
