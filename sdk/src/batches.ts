// Many items in few calls.
//
//   B1. One result for each item, in their order; one that is refused spoils no other.
//   B2. What is known is not thrown away: when a call after the first fails, its error is the result of its items and
//       of those after them, which are not sent. Only who gives up by a signal wants to know no more.
//   B3. A call whose items were all refused because the server cannot now was refused as a whole: it is repeated, or asked
//       of another server, as any other.

import { fromItemStatus, LeaseholdError, malformedResponse } from './errors.js';
import type { Status } from './gen/google/rpc/status.js';
import { cannotNow } from './retry.js';

/** What came of one item of a batch: its result, or why there is none. */
export type ItemResult<Result> =
  | ({ readonly ok: true } & Result)
  | { readonly ok: false; readonly error: LeaseholdError };

/** What the server says of one item. */
interface WireResult<Response> {
  readonly result:
    | { readonly $case: 'response'; readonly value: Response }
    | { readonly $case: 'status'; readonly value: Status }
    | undefined;
}

// The server takes 1,000 items and 1 MiB.
const MAX_ITEMS = 1_000;
const MAX_BYTES = 512 * 1_024;

/** Whether one more item fits into a call of so many, of so many bytes; into an empty one each does. */
export function fits(items: number, bytes: number, nextBytes: number): boolean {
  return items < MAX_ITEMS && (items === 0 || bytes + nextBytes <= MAX_BYTES);
}

/** Sends items in as many calls as it takes, one after another; `bytesOf`: about how many bytes one is on the wire. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  bytesOf: (item: Item) => number,
  send: (batch: readonly Item[]) => Promise<readonly ItemResult<Result>[]>,
): Promise<ItemResult<Result>[]> {
  const results: ItemResult<Result>[] = [];
  while (results.length < items.length) {
    try {
      results.push(...(await send(batchFrom(items, results.length, bytesOf))));
    } catch (error) {
      if (results.length === 0 || !(error instanceof LeaseholdError)) throw error;
      return [...results, ...items.slice(results.length).map(() => ({ ok: false as const, error }))];
    }
  }
  return results;
}

function batchFrom<Item>(items: readonly Item[], begin: number, bytesOf: (item: Item) => number): readonly Item[] {
  const batch: Item[] = [];
  let bytes = 0;
  for (const item of items.slice(begin, begin + MAX_ITEMS)) {
    const itemBytes = bytesOf(item);
    if (!fits(batch.length, bytes, itemBytes)) break;
    batch.push(item);
    bytes += itemBytes;
  }
  return batch;
}

/** The results of a batch as people see them; `isRepeatable`: whether repeating that item alone does no harm. */
export function toItemResults<Item, Response, Result>(
  batch: readonly Item[],
  wire: readonly WireResult<Response>[],
  toResult: (response: Response) => Result,
  isRepeatable: (item: Item) => boolean,
): ItemResult<Result>[] {
  if (wire.length !== batch.length) throw malformedResponse('one result for each request');
  return batch.map((item, index) => {
    const result = wire[index]?.result;
    if (!result) throw malformedResponse(`results[${index}]`);
    if (result.$case === 'status') return { ok: false, error: fromItemStatus(result.value, isRepeatable(item)) };
    return { ok: true, ...toResult(result.value) };
  });
}

/** The refusal of a whole batch: each of its items was refused because the server cannot now. */
export function refusalOfAll(wire: readonly WireResult<unknown>[], repeatable: boolean): LeaseholdError | undefined {
  const [first] = wire;
  if (first?.result?.$case !== 'status') return undefined;
  const refusesAll = wire.every(
    ({ result }) => result?.$case === 'status' && cannotNow(fromItemStatus(result.value, repeatable)),
  );
  return refusesAll ? fromItemStatus(first.result.value, repeatable) : undefined;
}
