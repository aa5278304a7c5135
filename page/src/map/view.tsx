// The map of a collection. The address has what is chosen on it: a drawn area, or a region.

import { useEffect, useMemo } from "preact/hooks";
import { returns } from "../api/connection";
import { useRequest } from "../api/request";
import { hrefOf, parameters, query } from "../state/address";
import { pointsIn, readArea } from "./area";
import { Chosen } from "./chosen";
import { CollectionMap, NO_POINTS } from "./collection_map";
import { hitsOf } from "./hits";
import { Nearby } from "./nearby";
import { type Region, regionsOf } from "./regions";
import { Stage } from "./stage";
import { Status } from "./status";
import { text } from "./text";

const PAUSE_MS = 80;

export default function MapView() {
  const { collection } = query.value;
  const map = useMemo(() => new CollectionMap(collection), [collection, returns.value]);
  useEffect(() => {
    void map.open();
    return () => map.close();
  }, [map]);

  const points = map.points.value ?? NO_POINTS;
  const header = map.header.value;
  const regions = useMemo(() => regionsOf(header?.regions ?? [], points), [header, points]);
  const found = useRequest(JSON.stringify(query.value), (signal) => hitsOf(query.value, signal), PAUSE_MS);
  const ids = found.value.answer;
  const hits = useMemo(() => (ids ? points.ids.flatMap((id, at) => (ids.has(id) ? [at] : [])) : []), [ids, points]);

  const areaText = parameters.value.get("area");
  const region = regions.find(({ id }) => id === parameters.value.get("region"));
  const chosen = useMemo(() => {
    if (region) return region.points;
    const area = readArea(areaText);
    return area.length ? pointsIn(area, points, new Nearby(points)) : [];
  }, [region, areaText, points]);
  const chosenIds = useMemo(() => chosen.map((at) => points.ids[at] as string), [chosen, points]);

  return (
    <div class="map" aria-busy={!map.points.value}>
      <h2 class="unseen">{text.title}</h2>
      <Status map={map} hits={ids ? hits.length : null} />
      {found.value.problem && (
        <p class="problem" role="alert">
          {found.value.problem}
        </p>
      )}
      {map.points.value && (
        <>
          {points.ids.length ? (
            <Stage collection={collection} points={points} regions={regions} hits={hits} chosen={chosen} />
          ) : (
            <p>{text.empty}</p>
          )}
          <RegionList regions={regions} current={region} />
          {(chosen.length > 0 || areaText) && (
            <Chosen collection={collection} ids={chosenIds} title={region ? text.region(region.words) : ""} />
          )}
        </>
      )}
    </div>
  );
}

/** The regions as a list, for people who cannot see the map. */
function RegionList({ regions, current }: { regions: readonly Region[]; current: Region | undefined }) {
  if (!regions.length) return null;
  return (
    <details class="map-regions">
      <summary>
        {text.regions} ({regions.length})
      </summary>
      <ul>
        {regions.map((region) => (
          <li key={region.id}>
            <a href={hrefOf({ region: region.id, area: null })} aria-current={region === current ? "true" : undefined}>
              {text.region(region.words)}
            </a>{" "}
            <span class="quiet">{text.images(region.points.length)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
