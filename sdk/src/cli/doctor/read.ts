// What `leasehold doctor` reads. One part that fails spoils no other.

import type { Leasehold } from '../../connect.js';
import { LeaseholdError } from '../../errors.js';
import type { Status } from '../../status.js';
import { PAGES } from '../command.js';
import type { Read, SeenResources } from './checks.js';

// Their conflicts are found only by reading all of them: a second or two, and not a minute.
const MAX_RESERVATIONS = 20_000;

/** Tries to read something; how it was refused is an answer, too. */
export async function attempt<T>(read: () => Promise<T>): Promise<Read<T>> {
  try {
    return { ok: true, value: await read() };
  } catch (error) {
    if (error instanceof LeaseholdError) return { ok: false, error };
    throw error;
  }
}

/** Reads all that is looked at of a server that gave its status. */
export async function readAll(leasehold: Leasehold, status: Status): Promise<SeenResources> {
  let staleSince: Date | undefined;
  const options = {
    ...PAGES,
    onStale: (since: Date) => {
      staleSince ??= since;
    },
  };
  const few = (status.counts?.reservations ?? 0) + (status.counts?.quarantined ?? 0) <= MAX_RESERVATIONS;
  const [hosts, networks, subnets, placements, reservations] = await Promise.all([
    attempt(() => leasehold.hosts.list({}, options).toArray()),
    attempt(() => leasehold.networks.list(options).toArray()),
    attempt(() => leasehold.subnets.list({}, options).toArray()),
    attempt(() => leasehold.placements.list({}, options).toArray()),
    few ? attempt(() => leasehold.reservations.list({}, options).toArray()) : undefined,
  ]);
  return { hosts, networks, subnets, placements, reservations, staleSince };
}
