// Read, change, compare-and-set, and again on a conflict: how every document but a slot is changed.

import { etagMismatch, type Refused, type Result, tooBusy } from '../domain/errors.js';
import type { NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { Store } from '../ports/store.js';

// Conflicts come from other writers of one document; one of them wins every round, so a few dozen rounds mean that
// dozens of changes were made meanwhile.
const MAX_ROUNDS = 50;

/** Repeats `attempt` until it answers something else than `conflict`. */
export async function untilNoConflict<T>(
  what: string,
  attempt: () => Promise<Result<T> | 'conflict'>,
): Promise<Result<T>> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = await attempt();
    if (result !== 'conflict') return result;
  }
  return tooBusy(what);
}

/** What to write in the place of a network's document: another, or the refusal to answer. */
export type NetworkChange = (network: Network | undefined) => Result<Network>;

/** Changes a network's document by compare-and-set; `subnet-taken` when a new subnet's id is another network's. */
export function changeNetwork(
  store: Store,
  networkId: NetworkId,
  change: NetworkChange,
): Promise<Result<Network | 'subnet-taken'>> {
  return untilNoConflict<Network | 'subnet-taken'>(`Network ${networkId}`, async () => {
    const before = await store.networks.get(networkId);
    const changed = change(before);
    if (!changed.ok || changed.value === before) return changed;
    const written = await store.networks.put(changed.value, before);
    return written === 'conflict' ? 'conflict' : { ok: true, value: written };
  });
}

/** The refusal of a write that names another etag than the present one; an empty one means whatever it is. */
export function checkEtag(what: string, asked: string, current: string): Refused | undefined {
  return asked === '' || asked === current ? undefined : etagMismatch(what, current);
}
