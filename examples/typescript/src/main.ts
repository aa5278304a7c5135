// Searches over HTTP, names what a picture shows, follows a stream, and reads what an error says. Only the arguments and
// the file are Node's: the rest runs in a browser too.
//
//   node build/main.js http://localhost:8080 "sea" beach.jpg
import { readFile } from "node:fs/promises";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { GalleryService } from "./gen/semsearch/v1/gallery_service_pb.js";
import { SearchService } from "./gen/semsearch/v1/search_service_pb.js";

const [url, query, picture] = process.argv.slice(2);
if (url === undefined || query === undefined || picture === undefined) {
  console.error("usage: main.js URL QUERY PICTURE");
  process.exit(2);
}

const transport = createConnectTransport({ baseUrl: url, defaultTimeoutMs: 30_000 });
const search = createClient(SearchService, transport);
const gallery = createClient(GalleryService, transport);

const { matches } = await search.searchByText({ query, pageSize: 3 });
for (const { image, relevance } of matches) {
  console.log(`${relevance.toFixed(3)}  ${image?.attributes?.name}`);
}

const content = new Uint8Array(await readFile(picture));
const { tags } = await search.tagImage({ source: { case: "content", value: content }, maxTags: 3, minRelevance: 0 });
console.log(`tags: ${tags.map(({ word }) => word).join(", ")}`);

let groups = 0;
for await (const progress of gallery.findDuplicates({})) {
  groups += progress.groups.length;
  console.log(`${progress.doneCount} of ${progress.totalCount} steps done`);
}
console.log(`pictures with copies: ${groups}`);

try {
  await search.searchByText({ query: "elefantt" });
} catch (error) {
  const failure = ConnectError.from(error);
  console.log(failure.message);
  for (const { reason, metadata } of failure.findDetails(ErrorInfoSchema)) {
    console.log(`  reason: ${reason} ${JSON.stringify(metadata)}`);
  }
}
