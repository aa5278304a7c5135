// The images nearest to the open one.

import { services } from "../api/clients";
import { versionAddress } from "../api/images";
import { useRequest } from "../api/request";
import type { Image } from "../gen/semsearch/v1/image_pb";
import { nameOf } from "../results/names";
import { ask, hrefOf } from "../state/address";
import { text } from "./text";

const SHOWN = 9;
const PAUSE_MS = 200;

export function Nearest({ image }: { image: Image }) {
  const asked = useRequest(
    `${image.collection}/${image.id}`,
    (signal) =>
      services.search.searchByImage(
        { source: { case: "imageId", value: image.id }, collection: image.collection, pageSize: SHOWN },
        { signal },
      ),
    PAUSE_MS,
  );
  const { answer, problem } = asked.value;
  if (problem) return <p class="quiet">{problem}</p>;
  const images = answer?.matches.flatMap((match) => match.image ?? []) ?? [];
  const showAll = () => ask({ text: "", pictures: [{ kind: "stored", key: image.id, weight: 1, crop: null }] });
  return (
    <>
      <ul class="nearest" aria-busy={answer === null}>
        {images.map((each) => (
          <li key={each.id}>
            <a href={hrefOf({ image: each.id })}>
              <img src={versionAddress(each, "thumbnail")} alt={nameOf(each)} decoding="async" />
            </a>
          </li>
        ))}
      </ul>
      <button type="button" class="button" onClick={showAll}>
        {text.allSimilar}
      </button>
    </>
  );
}
