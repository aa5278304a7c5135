// @vitest-environment happy-dom
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, onTestFinished, test, vi } from "vitest";
import { useTransport } from "../../src/api/clients";
import { logIn, logOut } from "../../src/api/session";
import {
  CollectionMapSchema,
  type ComputeMapResponse,
  Layout,
  MapService,
  MapStage,
} from "../../src/gen/semsearch/v1/map_service_pb";
import { CollectionMap } from "../../src/map/collection_map";

const draft = create(CollectionMapSchema, { revision: "1", layout: Layout.PCA });
const final = create(CollectionMapSchema, { revision: "2", layout: Layout.NEIGHBORS, upToDate: true });

function serve(computing: () => AsyncIterable<Partial<ComputeMapResponse>>, there = draft): { streamed: number } {
  const calls = { streamed: 0 };
  useTransport(
    createRouterTransport(({ service }) => {
      service(MapService, {
        getMap: () => ({ map: there }),
        computeMap: computing as never,
        cancelMap: () => ({ cancelled: true }),
        async *streamMap() {
          calls.streamed += 1;
          const part = (from: number) => new Uint8Array(new Float32Array([from, from, -from, -from]).buffer);
          yield { map: final, imageCount: 4n, ids: ["a", "b"], places: part(0.5) };
          yield { ids: ["c", "d"], places: part(0.25) };
        },
      });
    }),
  );
  return calls;
}

test("the draft is shown, then the final map; places come in parts", async () => {
  const calls = serve(async function* () {
    yield { progress: { stage: MapStage.LAYOUT, fraction: 0.5 } as never };
    yield { map: final };
    yield { map: final };
  });
  const map = new CollectionMap("");
  const shown: number[] = [];
  map.progress.subscribe((progress) => progress && shown.push(progress.fraction));
  await map.open();
  expect(shown).toEqual([0.5]);
  expect(map.header.value?.layout).toBe(Layout.NEIGHBORS);
  expect(map.progress.value).toBeNull();
  expect(map.points.value?.ids).toEqual(["a", "b", "c", "d"]);
  expect([...(map.points.value?.places ?? [])]).toEqual([0.5, 0.5, -0.5, -0.5, 0.25, 0.25, -0.25, -0.25]);
  expect(calls.streamed).toBe(2);
});

test("a map that is up to date is not computed", async () => {
  serve(() => {
    throw new Error("not asked for");
  }, final);
  const map = new CollectionMap("");
  await map.open();
  expect(map.problem.value).toBe("");
  expect(map.points.value?.ids).toHaveLength(4);
});

test("a failure is told, and the map that was there stays", async () => {
  // biome-ignore lint/correctness/useYield: it fails at once.
  serve(async function* () {
    throw new ConnectError("The map could not be computed: no memory.", Code.FailedPrecondition);
  });
  const map = new CollectionMap("");
  await map.open();
  expect(map.problem.value).toContain("no memory");
  expect(map.header.value?.revision).toBe("1");
  expect(map.progress.value).toBeNull();
});

test("who may only read gets the map as it is", async () => {
  vi.stubGlobal("fetch", async () => Response.json({ role: "read" }));
  await logIn("a token");
  onTestFinished(logOut); // the test files share their modules
  serve(() => {
    throw new Error("not asked for");
  }, draft);
  const map = new CollectionMap("");
  await map.open();
  expect(map.problem.value).toBe("");
  expect(map.points.value?.ids).toEqual(["a", "b", "c", "d"]);
});
