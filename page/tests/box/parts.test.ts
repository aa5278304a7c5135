import { expect, test } from "vitest";
import { replaceWord, writeText } from "../../src/box/parts";
import type { UnknownWord } from "../../src/gen/semsearch/v1/query_pb";

const unknown = [{ word: "hosre" }] as UnknownWord[];

test("parts are written as they would be typed", () => {
  const parts = [
    { text: "dog", weight: 1 },
    { text: "sports car", weight: -0.5 },
    { text: "NOT", weight: 2 },
    { text: "24/7", weight: 1 },
  ];
  expect(writeText(parts, [])).toBe('dog -"sports car"^0.5 "NOT"^2 "24/7"');
});

test("words that are not known stay", () => {
  expect(writeText([{ text: "dog", weight: -1 }], unknown)).toBe("-dog hosre");
});

test("a suggestion takes the place of the whole word only", () => {
  expect(replaceWord("-Hosre^2 hosrebox", "hosre", "horse")).toBe("-horse^2 hosrebox");
  expect(replaceWord("hosrebox hosre", "hosre", "sea horse")).toBe('hosrebox "sea horse"');
  expect(replaceWord("c++ (x", "c++", "car")).toBe("car (x");
});
