// @vitest-environment happy-dom
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, it, vi } from "vitest";
import { useTransport } from "../../src/api/clients";
import { returns } from "../../src/api/connection";
import { messages } from "../../src/frame/messages";
import { ModelService } from "../../src/gen/semsearch/v1/model_service_pb";
import { activate, finished, joinAgain, pull, pulls, switching } from "../../src/models/running";

const STEP = { wordsDone: 5n, wordsTotal: 5n, imagesDone: 3n, imagesTotal: 10n, imagesFailed: 0n };
const MODEL = { id: "new@sha256:1", displayName: "New" };

/** What the server does when it is asked to activate a model, call by call. */
let activations: (() => AsyncIterable<object>)[];
let pulling: () => AsyncIterable<object>;

beforeEach(() => {
  messages.value = [];
  switching.value = null;
  localStorage.clear();
  useTransport(
    createRouterTransport(({ service }) => {
      service(ModelService, {
        activateModel: () => (activations.shift() as () => AsyncIterable<object>)(),
        pullModel: () => pulling(),
      });
    }),
  );
});

it("shows how far a model is, and that it is there", async () => {
  const seen: number[] = [];
  const stop = pulls.subscribe((runs) => seen.push(runs.photos?.done ?? -1));
  pulling = async function* () {
    yield { bytesDone: 1n, bytesTotal: 4n };
    yield { bytesDone: 4n, bytesTotal: 4n, model: MODEL };
  };
  const before = finished.value;
  await pull("photos");
  stop();
  expect(seen).toEqual([-1, 0, 1, 4, -1]);
  expect(finished.value).toBe(before + 1);
  expect(messages.value.map(({ text }) => text)).toEqual(["New is ready. Activate it to use it."]);
});

it("keeps why a model could not be fetched, until it is tried again", async () => {
  pulling = async function* () {
    yield { bytesDone: 1n, bytesTotal: 4n };
    throw new ConnectError("It cannot be reached.", Code.Aborted);
  };
  await pull("photos");
  expect(pulls.value.photos).toEqual({ done: 1, total: 4, problem: "It cannot be reached." });
});

it("joins the switch again when the server is back, and when the page is loaded again", async () => {
  const away = async function* () {
    yield STEP;
    throw new ConnectError("gone", Code.Unavailable);
  };
  const ends = async function* () {
    yield { ...STEP, imagesDone: 10n, model: MODEL };
  };
  activations = [away, away, ends];
  void activate(MODEL.id);
  await vi.waitFor(() => expect(activations).toHaveLength(2));
  await vi.waitFor(() => expect(switching.value?.images.done).toBe(3));
  await new Promise((resolve) => setTimeout(resolve));
  returns.value += 1;
  await vi.waitFor(() => expect(activations).toHaveLength(1));
  switching.value = null; // as after loading the page again
  joinAgain();
  await vi.waitFor(() => expect(messages.value.map(({ text }) => text)).toEqual(["New is active now."]));
  expect(switching.value).toBeNull();
  expect(localStorage).toHaveLength(0);
});

it("says why another switch cannot begin", async () => {
  const refuses = async function* () {
    yield* [];
    throw new ConnectError("Another switch is running.", Code.FailedPrecondition);
  };
  activations = [refuses];
  await activate(MODEL.id);
  expect(switching.value?.problem).toBe("Another switch is running.");
});
