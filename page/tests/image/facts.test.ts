// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { bytesText, takenText } from "../../src/image/facts";
import { labelsIn } from "../../src/image/tags";
import { placesOf } from "../../src/results/names";

it("shows the time that the camera's clock showed, whatever the time zone", () => {
  expect(takenText("2024-06-05T14:03:22-11:00")).toBe(takenText("2024-06-05T14:03:22"));
  expect(takenText("2024-06-05T14:03:22")).toContain("2:03");
  expect(takenText("2024")).toBe("2024");
});

it("writes sizes in the unit that people use", () => {
  expect(bytesText(999)).toBe("999 byte");
  expect(bytesText(3_240_000)).toBe("3.2 MB");
});

it("knows every place where the original lies, once", () => {
  expect(
    placesOf({ originalAt: "nas/a.jpg", attributes: { paths: ["nas/a.jpg", "usb/b.jpg"], path: "a.jpg" } }),
  ).toEqual(["nas/a.jpg", "usb/b.jpg"]);
  expect(placesOf({ originalAt: "", attributes: { path: "2024/a.jpg" } })).toEqual(["2024/a.jpg"]);
  expect(placesOf({ originalAt: "", attributes: {} })).toEqual([]);
});

it("reads labels between commas, each once", () => {
  expect(labelsIn(" cat, red car,, cat ,")).toEqual(["cat", "red car"]);
  expect(labelsIn("")).toEqual([]);
});
