// The results of one query: pages are fetched as they are needed, and stay.
//
// In order of relevance, a list has the whole collection. The page applies the cut, so moving it needs no search, and the
// nearest image below the cut is known when there is none above.

import { signal } from "@preact/signals";
import { isAway } from "../api/connection";
import { messageOf, wasCancelled } from "../api/errors";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { UnderstoodTerm, UnknownWord } from "../gen/semsearch/v1/query_pb";
import { isSearch, type Query } from "../state/query";
import { countImages, countMatches, fetchPage } from "./pages";

export interface Result {
  image: Image;
  /** null in a list without a query. */
  relevance: number | null;
}

/** Which words of a query were understood. */
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
  /** For the relevances 0, 0.01 … 1, how many results have at least that; null until it is known. A list without a
   * query has one number. */
  readonly counts = signal<readonly number[] | null>(null);
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

  /** Count the results at each cut. If that fails, the list has no counts. */
  async count(): Promise<void> {
    if (this.counts.value) return;
    const count = isSearch(this.query) ? countMatches : countImages;
    this.counts.value = await count(this.query, this.controller.signal).catch(() => null);
  }

  /** Cancel running calls. */
  cancel(): void {
    this.controller.abort();
  }

  /** Remove deleted images. */
  remove(ids: ReadonlySet<string>): void {
    this.results.value = this.results.value.filter(({ image }) => !ids.has(image.id));
    this.counts.value = null;
    void this.count();
  }

  /** Replace changed images. */
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
      const fetched = await fetchPage(this.query, size, this.token, this.controller.signal);
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

  private fail(error: unknown): void {
    this.problem.value = isAway(error) || wasCancelled(error) ? "" : messageOf(error);
    this.status.value = "failed";
  }
}
