// One page of results, from the API.

import { create } from "@bufbuild/protobuf";
import { services } from "../api/clients";
import { collectionCut } from "../api/collections";
import { filterMessage } from "../api/filters";
import { CropBoxSchema } from "../gen/semsearch/v1/query_pb";
import type { ImageMatch } from "../gen/semsearch/v1/search_service_pb";
import { bytesOf } from "../state/pictures";
import type { Picture, Query } from "../state/query";
import type { Result, Understanding } from "./result_list";

export interface Found {
  results: Result[];
  nextPageToken: string;
  understanding: Understanding;
  defaultCut: number;
}

/** Search with words, pictures or both, in the whole collection. */
export async function searchPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  const defaultCut = query.pictures.length ? 0 : await collectionCut(query.collection);
  const common = {
    collection: query.collection,
    pageSize: size,
    pageToken: token,
    minRelevance: 0,
    filter: filterMessage(query.filters),
    distinct: query.distinct,
  };
  const found = query.pictures.length
    ? await services.search.searchByImage(
        { ...common, images: await Promise.all(query.pictures.map(imageTerm)), terms: [] },
        { signal },
      )
    : await services.search.searchByText({ ...common, query: query.text }, { signal });
  return {
    results: found.matches.flatMap(resultOf),
    nextPageToken: found.nextPageToken,
    understanding: { understood: found.understood, unknown: found.unknownWords },
    defaultCut,
  };
}

/** List a collection. */
export async function listPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  const found = await services.gallery.listImages(
    { collection: query.collection, pageSize: size, pageToken: token, filter: filterMessage(query.filters) },
    { signal },
  );
  return {
    results: found.images.map((image) => ({ image, relevance: null })),
    nextPageToken: found.nextPageToken,
    understanding: { understood: [], unknown: [] },
    defaultCut: 0,
  };
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
