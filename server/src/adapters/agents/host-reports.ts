// Stores what sessions report of their hosts while they go on.
//
//   R1. Of one host one report is being stored at a time, and the newest is stored last.
//   R2. What cannot be stored now, because the store is away, is tried again until it is, or a newer one is, or its session
//       is over: what the next one reports is newer.
//   R3. Of one host at most one in two seconds: attachments may flap.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { HostId } from '../../domain/ids.js';
import type { HostDirectory, HostReport } from '../../ports/host-directory.js';

/** How soon the next one of a host is stored. */
export const STORE_EVERY_MS = 2_000;

/** How soon it is tried again. */
export const STORE_AGAIN_MS = 5_000;

interface Waiting {
  readonly report: HostReport;
  readonly isCurrent: () => boolean;
}

/** See the top of the file. */
export class HostReports {
  readonly #directory: Pick<HostDirectory, 'reported'>;
  readonly #clock: Clock;
  readonly #log: Log;
  /** What waits, by host; `undefined`: one is being stored and none waits. */
  readonly #waiting = new Map<HostId, Waiting | undefined>();

  constructor(directory: Pick<HostDirectory, 'reported'>, clock: Clock, log: Log) {
    this.#directory = directory;
    this.#clock = clock;
    this.#log = log;
  }

  /** Stores a report, after the one of this host that is being stored; `isCurrent`: whether its session still is. */
  store(report: HostReport, isCurrent: () => boolean): void {
    const { hostId } = report;
    const isStoring = this.#waiting.has(hostId);
    this.#waiting.set(hostId, { report, isCurrent });
    if (!isStoring) void this.#storeAll(hostId);
  }

  async #storeAll(hostId: HostId): Promise<void> {
    for (let next = this.#waiting.get(hostId); next?.isCurrent(); next = this.#waiting.get(hostId)) {
      this.#waiting.set(hostId, undefined);
      try {
        await this.#directory.reported(next.report);
        await delay(this.#clock, STORE_EVERY_MS);
      } catch (error) {
        this.#log.warn('what a host reported could not be stored yet', { host: hostId, error: String(error) });
        await delay(this.#clock, STORE_AGAIN_MS);
        if (this.#waiting.get(hostId) === undefined) this.#waiting.set(hostId, next);
      }
    }
    this.#waiting.delete(hostId);
  }
}
