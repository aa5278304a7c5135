// @vitest-environment happy-dom
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useTransport } from "../../src/api/clients";
import { messages } from "../../src/frame/messages";
import { GalleryService } from "../../src/gen/semsearch/v1/gallery_service_pb";
import { ImageSchema } from "../../src/gen/semsearch/v1/image_pb";
import { ResultList } from "../../src/results/result_list";
import { deleteImages, leaving } from "../../src/selection/deletion";
import { readQuery } from "../../src/state/query";
import { current, shown } from "../../src/state/search";

const IDS = Array.from({ length: 1_500 }, (_, at) => `image-${at}`);
/** Whether the second call is refused. */
let refuses: boolean;

function listOf(collection = ""): ResultList {
  const list = new ResultList({ ...readQuery(new URLSearchParams()), collection });
  list.results.value = IDS.map((id) => ({ image: create(ImageSchema, { id }), relevance: null }));
  return list;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  messages.value = [];
  refuses = false;
  let calls = 0;
  useTransport(
    createRouterTransport(({ service }) => {
      service(GalleryService, {
        deleteImages({ ids }) {
          calls += 1;
          if (refuses && calls > 1) throw new ConnectError("The disk is full.", Code.ResourceExhausted);
          return { deletedCount: ids.length };
        },
        countImages: () => ({ imageCount: 0n }),
      });
    }),
  );
});

afterEach(() => {
  [current.value, shown.value] = [null, null];
  vi.useRealTimers();
});

async function deleteAll(list: ResultList): Promise<void> {
  const deletion = deleteImages("", IDS, list);
  await vi.runAllTimersAsync();
  await deletion;
}

it("removes deleted images from the results that are shown by then", async () => {
  const [list, newer] = [listOf(), listOf()];
  [current.value, shown.value] = [newer, newer];
  await deleteAll(list);
  expect([list, newer].map(({ results }) => results.value.length)).toEqual([0, 0]);
  expect(leaving.value.size).toBe(0);
});

it("keeps images that another collection has too", async () => {
  const other = listOf("other");
  [current.value, shown.value] = [other, other];
  await deleteAll(listOf());
  expect(other.results.value).toHaveLength(IDS.length);
});

it("shows the images again that could not be deleted, and says how many were", async () => {
  refuses = true;
  const list = listOf();
  const texts: string[] = [];
  const stop = messages.subscribe((all) => {
    for (const { text } of all) if (!texts.includes(text)) texts.push(text);
  });
  await deleteAll(list);
  stop();
  expect(list.results.value.map(({ image }) => image.id)).toEqual(IDS.slice(1_000));
  expect(texts.at(-1)).toBe("Only 1,000 images deleted: The disk is full.");
});
