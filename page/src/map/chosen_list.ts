// The images that were chosen on the map, as a list of results: each is fetched when its place comes into sight.

import { services } from "../api/clients";
import { isAway } from "../api/connection";
import { messageOf, reasonOf } from "../api/errors";
import { type Result, ResultList } from "../results/result_list";
import { readQuery } from "../state/query";

const BATCH = 60;

export class ChosenList extends ResultList {
  private asked = 0;
  private loading: Promise<void> | null = null;

  constructor(
    readonly collection: string,
    readonly ids: readonly string[],
  ) {
    super({ ...readQuery(new URLSearchParams()), collection });
    this.complete.value = !ids.length;
    this.status.value = "ready";
  }

  override async load(count: number): Promise<void> {
    while (!this.complete.value && this.results.value.length < count && this.status.value !== "failed") {
      this.loading ??= this.fetchBatch().finally(() => {
        this.loading = null;
      });
      await this.loading;
    }
  }

  /** Try again after a failure. */
  async again(): Promise<void> {
    this.status.value = "ready";
    await this.load(this.results.value.length + 1);
  }

  private async fetchBatch(): Promise<void> {
    const ids = this.ids.slice(this.asked, this.asked + BATCH);
    try {
      const found = await Promise.all(ids.map((id) => this.fetchOne(id)));
      this.asked += ids.length;
      this.results.value = [...this.results.value, ...found.flat()];
      this.complete.value = this.asked >= this.ids.length;
    } catch (error) {
      this.problem.value = isAway(error) ? "" : messageOf(error);
      this.status.value = "failed";
    }
  }

  /** Return the image, or nothing if it was deleted. */
  private async fetchOne(id: string): Promise<Result[]> {
    try {
      const { image } = await services.gallery.getImage({ collection: this.collection, id });
      return image ? [{ image, relevance: null }] : [];
    } catch (error) {
      if (reasonOf(error) === "IMAGE_NOT_FOUND") return [];
      throw error;
    }
  }
}
