// Where the page is scrolled to: remembered in the history, and returned to by Back and by loading the page again.

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { entryKey, rememberScroll, returnTo } from "../state/address";

const PAUSE_MS = 250;

/** Begin a new list at the top, or where Back returns to, as soon as the list is tall enough. */
export function useScrollPlace(name: unknown, place: RefObject<HTMLElement | null>, height: number): void {
  const first = useRef(true);
  const wanted = useRef(0);

  useLayoutEffect(() => {
    // When the page is loaded, and with Back, the place is the one that was left.
    wanted.current = returnTo.take();
    if (!wanted.current && !first.current) scrollTo(0, 0);
    first.current = false;
  }, [name]);

  useLayoutEffect(() => {
    if (!wanted.current) return;
    const there = (place.current?.offsetTop ?? 0) + height - innerHeight;
    // Scrolling to the end fetches more, until the place is reached.
    scrollTo(0, Math.min(wanted.current, Math.max(there, 0)));
    if (there >= wanted.current) wanted.current = 0;
  });

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const later = () => {
      clearTimeout(timer);
      const here = entryKey();
      timer = setTimeout(() => {
        // By now, Back may have led to another entry.
        if (!wanted.current && entryKey() === here) rememberScroll(scrollY);
      }, PAUSE_MS);
    };
    // Scrolling by hand cancels the return.
    const stop = () => {
      wanted.current = 0;
    };
    addEventListener("scroll", later, { passive: true });
    addEventListener("wheel", stop, { passive: true });
    addEventListener("touchmove", stop, { passive: true });
    return () => {
      clearTimeout(timer);
      removeEventListener("scroll", later);
      removeEventListener("wheel", stop);
      removeEventListener("touchmove", stop);
    };
  }, []);
}
