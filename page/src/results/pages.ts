// One page of results, from the API.

import { create } from "@bufbuild/protobuf";
import { services } from "../api/clients";
import { collectionCut } from "../api/collections";
import { metadataOf, reasonOf } from "../api/errors";
import { filterMessage } from "../api/filters";
import { CropBoxSchema, ImageOrder, type UnknownWord } from "../gen/semsearch/v1/query_pb";
import type { ImageMatch } from "../gen/semsearch/v1/search_service_pb";
import { bytesOf } from "../state/pictures";
import { isSearch, type Picture, type Query } from "../state/query";
import type { Result, Understanding } from "./result_list";

export interface Found {
  results: Result[];
  nextPageToken: string;
  understanding: Understanding;
  defaultCut: number;
}

/** Fetch a page: of a search, or of the collection if nothing is asked for. */
export async function fetchPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  if (!isSearch(query)) return listPage(query, size, token, signal);
  try {
    return await searchPage(query, size, token, signal);
  } catch (error) {
    if (reasonOf(error) !== "UNKNOWN_WORDS") throw error;
    // Pictures are searched with even if no word beside them is known.
    const rest = { ...query, text: "" };
    const found = isSearch(rest) ? await searchPage(rest, size, token, signal) : nothing;
    const unknown = suggestionsOf(metadataOf(error).suggestions);
    return { ...found, understanding: { understood: [], unknown } };
  }
}

/** Count the results of a search at each cut: at the relevances 0, 0.01 … 1. */
export async function countMatches(query: Query, signal: AbortSignal): Promise<number[]> {
  const search = query.pictures.length
    ? { case: "byImage" as const, value: { ...scopeOf(query), ...(await termsOf(query)) } }
    : { case: "byText" as const, value: { ...scopeOf(query), query: query.text } };
  return (await services.search.countMatches({ search }, { signal })).countsByRelevance.map(Number);
}

/** Count the images of a collection. */
export async function countImages(query: Query, signal: AbortSignal): Promise<number[]> {
  return [Number((await services.gallery.countImages(scopeOf(query), { signal })).imageCount)];
}

async function searchPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  const defaultCut = query.pictures.length ? 0 : await collectionCut(query.collection);
  const isNewest = query.order === "newest";
  const common = {
    ...scopeOf(query),
    pageSize: size,
    pageToken: token,
    // Best first, the page cuts the list itself.
    minRelevance: isNewest ? (query.cut ?? defaultCut) : 0,
    distinct: query.distinct && !isNewest,
    order: isNewest ? ImageOrder.NEWEST_FIRST : ImageOrder.UNSPECIFIED,
  };
  const found = query.pictures.length
    ? await services.search.searchByImage({ ...common, ...(await termsOf(query)) }, { signal })
    : await services.search.searchByText({ ...common, query: query.text }, { signal });
  return {
    results: found.matches.flatMap(resultOf),
    nextPageToken: found.nextPageToken,
    understanding: { understood: found.understood, unknown: found.unknownWords },
    defaultCut,
  };
}

async function listPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  const found = await services.gallery.listImages(
    { ...scopeOf(query), pageSize: size, pageToken: token, order: ImageOrder.NEWEST_FIRST },
    { signal },
  );
  return {
    ...nothing,
    results: found.images.map((image) => ({ image, relevance: null })),
    nextPageToken: found.nextPageToken,
  };
}

const nothing: Found = {
  results: [],
  nextPageToken: "",
  understanding: { understood: [], unknown: [] },
  defaultCut: 0,
};

function scopeOf({ collection, filters }: Query) {
  const filter = filterMessage(filters);
  return { collection, ...(filter ? { filter } : {}) };
}

async function termsOf({ pictures, text }: Query) {
  return { images: await Promise.all(pictures.map(imageTerm)), query: text };
}

function resultOf({ image, relevance }: ImageMatch): Result[] {
  return image ? [{ image, relevance }] : [];
}

async function imageTerm({ kind, key, weight, crop }: Picture) {
  const source =
    kind === "stored"
      ? { case: "imageId" as const, value: key }
      : { case: "content" as const, value: await bytesOf(key) };
  return { source, weight, ...(crop ? { crop: create(CropBoxSchema, crop) } : {}) };
}

function suggestionsOf(text: string | undefined): UnknownWord[] {
  const words = JSON.parse(text ?? "{}") as Record<string, string[]>;
  return Object.entries(words).map(([word, suggestions]) => ({ word, suggestions }) as UnknownWord);
}
