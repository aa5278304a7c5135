// Links between views change the address without loading the page again.

import { goTo } from "../state/address";

/** Follow a link that was clicked, unless the person wants it in a new tab or it leads elsewhere. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element).closest("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname !== location.pathname || link.hash) return;
  event.preventDefault();
  goTo(link.search);
}
