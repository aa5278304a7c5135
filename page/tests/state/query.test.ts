import { expect, test } from "vitest";
import { noFilters, type Query, readQuery, writeQuery } from "../../src/state/query";

const PLAIN: Query = {
  text: "",
  pictures: [],
  collection: "",
  filters: noFilters,
  cut: null,
  order: "best",
  distinct: false,
};

function written(query: Query): string {
  const params = new URLSearchParams("view=map");
  writeQuery(query, params);
  return params.toString();
}

test("a query is the same after it was an address", () => {
  const query: Query = {
    text: 'dog -cat "sports car" 50% a&b=c',
    pictures: [
      { kind: "stored", key: "a^b@c:d%/ü.jpg", weight: -0.5, crop: { left: 0.1, top: 0, right: 1, bottom: 0.25 } },
      { kind: "own", key: "abc", weight: 1, crop: null },
    ],
    collection: "travel",
    filters: {
      takenFrom: "2024-06-01",
      takenTo: "2024-09",
      place: { latitude: 52.52, longitude: -13.4, kilometres: 10 },
      attributes: [
        { name: "a:b", value: "c:d" },
        { name: "album", value: "" },
      ],
    },
    cut: 0,
    order: "newest",
    distinct: true,
  };
  expect(readQuery(new URLSearchParams(written(query)))).toEqual(query);
});

test("what is at its default is not in the address, and views keep theirs", () => {
  expect(written(PLAIN)).toBe("view=map");
});

test.each(["cut=x", "p=x", "p=stored:", "p=stored:a^0", "p=own:%25E0", "near=1,2", "near=91,0,1", "attr=x", "order=x"])(
  "%s in an address is left out",
  (address) => {
    expect(readQuery(new URLSearchParams(address))).toEqual(PLAIN);
  },
);
