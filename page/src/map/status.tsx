// The number of images on the map, and the progress of a newer map.

import { mayChange } from "../api/session";
import { percent } from "../i18n/language";
import type { CollectionMap } from "./collection_map";
import { text } from "./text";

export function Status({ map, hits }: { map: CollectionMap; hits: number | null }) {
  const header = map.header.value;
  const points = map.points.value;
  const progress = map.progress.value;
  const changed = header && text.changed(Number(header.addedCount), Number(header.deletedCount));
  return (
    <div class="map-status">
      <p role="status">
        {points && header && (
          <>
            {text.images(points.ids.length)}
            {hits !== null && <strong> · {text.hits(hits)}</strong>}
            <span class="quiet"> · {text.layout(header.layout)}</span>
            {changed && <span class="quiet"> · {changed}</span>}
          </>
        )}
      </p>
      {progress ? (
        <div class="map-progress">
          <label>
            {text.computing(progress.stage)}
            <progress value={progress.fraction} />
          </label>
          <span class="quiet">
            {percent(Math.floor(progress.fraction * 100) / 100)}
            {progress.remainingSeconds !== undefined && ` · ${text.left(progress.remainingSeconds)}`}
          </span>
          {mayChange.value && (
            <button type="button" class="button plain" onClick={() => void map.cancel()}>
              {text.cancel}
            </button>
          )}
        </div>
      ) : (
        mayChange.value &&
        (header || map.problem.value) && (
          <button type="button" class="button plain" onClick={() => void map.compute()}>
            {text.again}
          </button>
        )
      )}
      {map.problem.value && (
        <p class="problem" role="alert">
          {map.problem.value}
        </p>
      )}
    </div>
  );
}
