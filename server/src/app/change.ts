// Read, change, compare-and-set, and again on a conflict: how every document but a slot is changed.

import type { AuditEvent } from '../domain/audit.js';
import { etagMismatch, type Refused, type Result, success, tooBusy } from '../domain/errors.js';
import type { NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { Context } from './context.js';

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

/** The event of a change of a network's document. */
export type NetworkEvent = (before: Network | undefined, after: Network) => AuditEvent;

/**
 * Changes a network's document by compare-and-set; `subnet-taken` when a new subnet's id is another network's. `event`: of a
 * change that somebody made.
 */
export function changeNetwork(
  { store, tell }: Pick<Context, 'store' | 'tell'>,
  networkId: NetworkId,
  change: NetworkChange,
  event?: NetworkEvent,
): Promise<Result<Network | 'subnet-taken'>> {
  return untilNoConflict<Network | 'subnet-taken'>(`Network ${networkId}`, async () => {
    const before = await store.networks.get(networkId);
    const changed = change(before);
    if (!changed.ok || changed.value === before) return changed;
    const made = event?.(before, changed.value);
    const written = await store.networks.put(changed.value, before, made);
    if (written === 'conflict') return 'conflict';
    if (made && written !== 'subnet-taken') tell(made);
    return success(written);
  });
}

/** The refusal of a write that names another etag than the present one; an empty one means whatever it is. */
export function checkEtag(what: string, asked: string, current: string): Refused | undefined {
  return asked === '' || asked === current ? undefined : etagMismatch(what, current);
}
