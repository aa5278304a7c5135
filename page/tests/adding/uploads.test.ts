// @vitest-environment happy-dom
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, it, vi } from "vitest";
import { collectionId } from "../../src/adding/collection_id";
import { isPicture } from "../../src/adding/files";
import { attributesOf, clear, counts, isSending, retry, send, stop, uploads } from "../../src/adding/uploads";
import { useTransport } from "../../src/api/clients";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb";
import { GalleryService } from "../../src/gen/semsearch/v1/gallery_service_pb";

const picked = (name: string, path = name) => ({ file: new File([name], name, { type: "image/png" }), path });

let calls: string[][];
let atOnce: number;
let most: number;
/** What becomes of a file by its content, which is its name here. */
let answers: (name: string) => { id?: string; duplicateOf?: string; status?: { code: number; message: string } };
let before: () => Promise<void>;

beforeEach(() => {
  stop();
  clear();
  [calls, atOnce, most] = [[], 0, 0];
  answers = (name) => ({ id: name });
  before = async () => {};
  useTransport(
    createRouterTransport(({ service }) => {
      service(GalleryService, {
        async batchIndexImages({ images }) {
          atOnce += 1;
          most = Math.max(most, atOnce);
          try {
            const names = images.map(({ content }) => new TextDecoder().decode(content));
            calls.push(names);
            await before();
            return { results: names.map(answers) };
          } finally {
            atOnce -= 1;
          }
        },
      });
    }),
  );
});

const finished = () => vi.waitFor(() => expect(isSending.value).toBe(false), 5_000);

it("sends every file once, a few calls at a time and a few files a call", async () => {
  const names = Array.from({ length: 100 }, (_, at) => `${at}.png`);
  before = () => new Promise((resolve) => setTimeout(resolve));
  send(
    names.map((name) => picked(name)),
    "",
  );
  await finished();
  expect(calls.flat().sort()).toEqual(names.toSorted());
  expect(most).toBe(2);
  expect(Math.max(...calls.map(({ length }) => length))).toBe(12);
  expect(counts.value.added).toBe(100);
});

it("reports duplicates and failures of each file, and sends failures again on request", async () => {
  answers = (name) => {
    if (name === "old.png") return { duplicateOf: "known" };
    return name === "bad.png" ? { status: { code: 3, message: "It is damaged." } } : { id: name };
  };
  send([picked("new.png"), picked("old.png"), picked("bad.png")], "");
  await finished();
  expect(uploads.value.map(({ state, id, problem }) => [state, id, problem])).toEqual([
    ["added", "new.png", ""],
    ["duplicate", "known", ""],
    ["failed", "", "It is damaged."],
  ]);
  answers = (name) => ({ id: name });
  retry();
  await finished();
  expect(counts.value).toMatchObject({ added: 2, duplicate: 1, failed: 0 });
});

it("sends again what an overloaded server refused, and gives up on any other error", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  before = async () => {
    before = async () => {};
    throw new ConnectError("later", Code.ResourceExhausted);
  };
  send([picked("a.png")], "");
  await vi.waitFor(() => expect(uploads.value[0]?.state).toBe("waiting"));
  await vi.runAllTimersAsync();
  vi.useRealTimers();
  await finished();
  expect(counts.value.added).toBe(1);
  before = async () => {
    throw new ConnectError("no such collection", Code.NotFound);
  };
  send([picked("b.png")], "nowhere");
  await finished();
  expect(uploads.value[1]?.problem).toBe("no such collection");
});

it("keeps the confirmed files when it is stopped", async () => {
  send([picked("a.png")], "");
  await finished();
  before = () => new Promise(() => {});
  send([picked("b.png"), picked("c.png")], "");
  await vi.waitFor(() => expect(counts.value.sending).toBe(2));
  stop();
  expect(counts.value).toMatchObject({ added: 1, waiting: 0, sending: 0 });
});

it("sends files that are added after a stop, while a stopped call still waits to try again", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  before = async () => {
    throw new ConnectError("later", Code.ResourceExhausted);
  };
  send([picked("a.png")], "");
  send([picked("b.png")], "elsewhere");
  await vi.waitFor(() => expect(calls).toHaveLength(2));
  await vi.waitFor(() => expect(counts.value.waiting).toBe(2));
  stop();
  before = async () => {};
  send([picked("c.png")], "");
  await vi.runAllTimersAsync();
  vi.useRealTimers();
  await finished();
  expect(counts.value.added).toBe(1);
});

it("does not send again what a full disk refused", async () => {
  before = async () => {
    const info = { domain: "semsearch", reason: "STORAGE_FULL" };
    throw new ConnectError("The disk is full.", Code.ResourceExhausted, undefined, [
      { desc: ErrorInfoSchema, value: info },
    ]);
  };
  send([picked("a.png")], "");
  await finished();
  expect(uploads.value[0]).toMatchObject({ state: "failed", problem: "The disk is full." });
});

it("says where a file lay in its folder", () => {
  expect(attributesOf(picked("a.png", "2024/june/a.png"))).toMatchObject({
    name: "a.png",
    path: "2024/june/a.png",
    folder: "2024/june",
  });
  expect(attributesOf(picked("a.png"))).not.toHaveProperty("folder");
});

it("sends pictures only, RAW files and photos without a type too", () => {
  const names = ["a.JPG", "b.cr3", "c.heic", "notes.txt", ".DS_Store", "._a.jpg", "clip.mov"];
  expect(names.filter((name) => isPicture({ name, type: "" }))).toEqual(["a.JPG", "b.cr3", "c.heic"]);
});

it("makes ids from names", () => {
  expect(collectionId("Sommer 2024 in Südtirol!")).toBe("sommer-2024-in-suedtirol");
  expect(collectionId("2024 – été")).toBe("ete");
  expect(collectionId("日本")).toBe("");
});
