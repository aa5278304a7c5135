// Results: the grid of the list on the screen.

import { shown } from "../state/search";
import { Grid } from "./grid";

export function SearchView() {
  const list = shown.value;
  return list ? <Grid list={list} /> : null;
}
