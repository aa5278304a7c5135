// One page of results, from the API.

import { create } from "@bufbuild/protobuf";
import { services } from "../api/clients";
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
}

/** Search with words, pictures or both. */
export async function searchPage(query: Query, size: number, token: string, signal: AbortSignal): Promise<Found> {
  const common = {
    collection: query.collection,
    pageSize: size,
    pageToken: token,
    ...(query.cut === null ? {} : { minRelevance: query.cut }),
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
  return { source, weight, crop: crop ? create(CropBoxSchema, crop) : undefined };
}
