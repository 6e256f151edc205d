// L4  What is released is free for others some time: long after everything was healed no address rests any more; and where it
//     is known how long a rest may take at most, none takes longer.

import { formatIpv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { ReservationId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { World } from '../world.js';

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
  return disk.slotsInOrder().filter(rests).map(textOf);
}

/** Follows how long addresses rest. */
export class Rests {
  readonly #world: World;
  readonly #disk: MemoryDisk;
  readonly #sinceMs = new Map<ReservationId, number>();

  constructor(world: World, disk: MemoryDisk) {
    this.#world = world;
    this.#disk = disk;
    disk.listen((changes) => {
      for (const change of changes) {
        if (change.kind !== 'slot' || change.slot.state !== 'quarantined') continue;
        const { reservationId } = change.slot;
        if (!this.#sinceMs.has(reservationId)) this.#sinceMs.set(reservationId, world.nowMs);
      }
    });
  }

  /** The addresses that have rested for longer. */
  longerThan(ms: number): readonly string[] {
    const isOver = ({ reservationId }: Slot) =>
      this.#world.nowMs - (this.#sinceMs.get(reservationId) ?? Number.POSITIVE_INFINITY) > ms;
    return this.#disk
      .slotsInOrder()
      .filter((slot) => rests(slot) && isOver(slot))
      .map(textOf);
  }
}

function textOf({ networkId, address, mac }: Slot): string {
  return `${formatIpv4(address)} of ${networkId} still rests for ${mac}`;
}

function rests({ state, reuseDelayS }: Pick<Slot, 'state' | 'reuseDelayS'>): boolean {
  return state === 'quarantined' && reuseDelayS < LONGEST_S;
}
