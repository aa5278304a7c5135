// From a name as people write it to the id of a collection.

const LONGEST = 63;
const WRITTEN_OUT: Record<string, string> = { ä: "ae", ö: "oe", ü: "ue", ß: "ss", æ: "ae", ø: "o", å: "a" };

/** "Sommer 2024" as "sommer-2024"; "" if the name has no letter. */
export function collectionId(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[äöüßæøå]/g, (letter) => WRITTEN_OUT[letter] ?? "")
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "");
  return plain.slice(0, LONGEST).replace(/-+$/, "");
}
