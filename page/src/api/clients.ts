// The services of the gateway, from the protos.

import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { GalleryService } from "../gen/semsearch/v1/gallery_service_pb";
import { MapService } from "../gen/semsearch/v1/map_service_pb";
import { ModelService } from "../gen/semsearch/v1/model_service_pb";
import { SearchService } from "../gen/semsearch/v1/search_service_pb";
import { watching } from "./connection";
import { authorizing } from "./session";

/** Return clients that call through a transport. */
function over(transport: Transport) {
  return {
    search: createClient(SearchService, transport),
    gallery: createClient(GalleryService, transport),
    maps: createClient(MapService, transport),
    models: createClient(ModelService, transport),
  };
}

/** The services. Tests put their own in. */
export const services = over(
  createConnectTransport({ baseUrl: location.origin, useBinaryFormat: true, interceptors: [watching, authorizing] }),
);

/** Call through another transport from now on. */
export function useTransport(transport: Transport): void {
  Object.assign(services, over(transport));
}
