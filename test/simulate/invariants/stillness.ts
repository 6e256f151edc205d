// What must rest while the store is known to be an older copy of itself (protocol.md §7).
//
//   H1  No address is freed, and none is handed out: hosts go by tables that this store never had.

import { formatIpv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { PositionedChange } from '@leasehold/server/ports/store';
import type { World } from '../world.js';
import type { Report } from './store.js';

// Servers look once a second; what was on its way is there by then.
const KNOWN_WITHIN_MS = 2_000;

/** See the top of the file. */
export class Stillness {
  readonly #disk: Pick<MemoryDisk, 'holdStill'>;
  readonly #world: Pick<World, 'nowMs'>;
  readonly #report: Report;
  #sinceMs: number | undefined;

  constructor(disk: MemoryDisk, world: Pick<World, 'nowMs'>, report: Report) {
    this.#disk = disk;
    this.#world = world;
    this.#report = report;
    disk.listen((changes) => {
      for (const change of changes) this.#changed(change);
    });
  }

  /** To be called after every turn. */
  look(): void {
    if (!this.#disk.holdStill) this.#sinceMs = undefined;
    else this.#sinceMs ??= this.#world.nowMs;
  }

  #changed(change: PositionedChange): void {
    if (this.#sinceMs === undefined || this.#world.nowMs < this.#sinceMs + KNOWN_WITHIN_MS) return;
    if (change.kind === 'slot-gone') {
      this.#report('H1', `${formatIpv4(change.address)} of ${change.networkId} is freed, though all hold still`);
    } else if (change.kind === 'slot' && change.slot.state === 'reserved' && change.before?.state !== 'reserved') {
      const { networkId, address, mac } = change.slot;
      this.#report('H1', `${formatIpv4(address)} of ${networkId} is given to ${mac}, though all hold still`);
    }
  }
}
