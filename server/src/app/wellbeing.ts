// Which hosts were well lately, as the manager saw them. The log has who is down, and who is back.

import type { Log } from '@leasehold/program/log';
import type { HostId } from '../domain/ids.js';
import type { HostNow } from './fleet.js';

// Whoever came back so lately takes placements only when there is nobody else.
const STEADY_AFTER_MS = 30_000;

/** See the top of the file. */
export class Wellbeing {
  readonly #log: Log;
  /** Hosts that were suspect or down: when they were seen so last, and whether they are known to be down. */
  readonly #unwell = new Map<HostId, { readonly atMs: number; readonly isDown: boolean }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Takes over how all hosts are now. */
  follow(fleet: ReadonlyMap<HostId, HostNow>, nowMs: number): void {
    for (const hostId of this.#unwell.keys()) if (!fleet.has(hostId)) this.#unwell.delete(hostId);
    for (const [hostId, { liveness, heard, silentForMs }] of fleet) {
      const before = this.#unwell.get(hostId);
      if (liveness === 'down' && !before?.isDown) {
        this.#log.warn('host is down', { host: hostId, silentMs: Math.round(silentForMs) });
      }
      if (liveness !== 'up') {
        this.#unwell.set(hostId, { atMs: nowMs, isDown: liveness === 'down' || before?.isDown === true });
      } else if (before?.isDown && heard) {
        // When all ages began anew, it only counts as just heard.
        this.#log.info('host is up again', { host: hostId });
        this.#unwell.set(hostId, { ...before, isDown: false });
      }
    }
  }

  /** Whether it was well for some time. */
  isSteady(hostId: HostId, nowMs: number): boolean {
    return nowMs - (this.#unwell.get(hostId)?.atMs ?? Number.NEGATIVE_INFINITY) >= STEADY_AFTER_MS;
  }
}
