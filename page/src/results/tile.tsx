// One picture of the grid.

import { imageAddress } from "../api/images";
import { hrefOf } from "../state/address";
import { nameOf } from "./names";
import type { Result } from "./result_list";

export interface TileBox {
  left: number;
  top: number;
  width: number;
  height: number;
}

export function Tile({ result: { image }, index, box }: { result: Result; index: number; box: TileBox }) {
  return (
    <li
      class="tile"
      aria-posinset={index + 1}
      style={{
        transform: `translate(${box.left}px, ${box.top}px)`,
        width: `${box.width}px`,
        height: `${box.height}px`,
      }}
    >
      <a href={hrefOf({ image: image.id })}>
        <img src={imageAddress(image.collection, image.id, "thumbnail")} alt={nameOf(image)} decoding="async" />
      </a>
    </li>
  );
}
