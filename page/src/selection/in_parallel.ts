const AT_ONCE = 6;

/** Do something with each, a few at a time. */
export async function inParallel<T>(each: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const rest = each.values();
  const worker = async () => {
    for (const one of rest) await act(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
