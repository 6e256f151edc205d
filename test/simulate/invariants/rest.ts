// L4  Long after everything was healed no address rests any more: what is released is free for others some time.

import { formatIpv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '../../fakes/memory-disk.js';

const RATE = 1.01 / 0.99;
// Agents find the holder, networks are claimed, tables are taken in, and what was put off is looked at again.
const SETTLED_S = 120;
const SLACK_S = 10;
// The rest of what was given back when nobody knew its subnet any more.
const LONGEST_S = 7 * 86_400;

/**
 * How long after everything was healed, and nobody releases any more, an address may rest: for hosts that were forgotten,
 * for its delay, and for the longest lease that it was given with.
 */
export function longestRestMs(disk: MemoryDisk): number {
  const slots = disk.slotsInOrder().filter(rests);
  const subnets = [...disk.networks.values()].flatMap((network) => network.subnets);
  const leaseS = Math.max(0, ...[...slots, ...subnets].map(({ leaseTimeCeilingS }) => leaseTimeCeilingS));
  const delayS = Math.max(0, ...slots.map(({ reuseDelayS }) => reuseDelayS));
  const silentS = disk.authorityCeilingS * RATE + SLACK_S;
  return 1_000 * (SETTLED_S + silentS + delayS + leaseS * RATE);
}

/** The addresses that rest. */
export function resting(disk: MemoryDisk): readonly string[] {
  return disk
    .slotsInOrder()
    .filter(rests)
    .map(({ networkId, address, mac }) => `${formatIpv4(address)} of ${networkId} still rests for ${mac}`);
}

function rests({ state, reuseDelayS }: { readonly state: string; readonly reuseDelayS: number }): boolean {
  return state === 'quarantined' && reuseDelayS < LONGEST_S;
}
