// Makes a schedule that fails small enough to be read: drops what the failure does not need (delta debugging, Zeller and
// Hildebrandt 2002).
//
//   H1. What it answers was seen to fail. When it may try no more, it answers the smallest one so far.
//   H2. Items are dropped, never changed or put in another order: a schedule's items say when they happen.

/** What limits the search. */
export interface ShrinkLimit {
  /** How many schedules it may try. */
  readonly tries: number;
}

/** The smallest part of `items`, in their order, that was found to fail still; `items` fails. */
export async function shrink<Item>(
  items: readonly Item[],
  fails: (items: readonly Item[]) => Promise<boolean>,
  { tries }: ShrinkLimit,
): Promise<readonly Item[]> {
  let smallest = items;
  let left = tries;
  const failsStill = async (candidate: readonly Item[]): Promise<boolean> => {
    if (left === 0) return false;
    left--;
    return fails(candidate);
  };
  for (let size = Math.ceil(smallest.length / 2); size >= 1 && left > 0; ) {
    const before = smallest.length;
    // From the end: what happened last is most often what a failure does not need, or is it.
    for (let end = smallest.length; end > 0 && left > 0; end -= size) {
      const candidate = [...smallest.slice(0, Math.max(0, end - size)), ...smallest.slice(end)];
      if (await failsStill(candidate)) smallest = candidate;
    }
    // At one item a time again and again, until nothing can be dropped any more.
    if (size > 1) size = Math.ceil(size / 2);
    else if (smallest.length === before) break;
  }
  return smallest;
}
