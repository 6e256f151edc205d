// Stores what sessions report of their hosts while they go on.
//
//   R1. Of one host one report is being stored at a time, and the newest is stored last.
//   R2. A report that cannot be stored now is no reason to end a session: it is stored with the next one.

import type { Log } from '@leasehold/program/log';
import type { HostId } from '../../domain/ids.js';
import type { HostDirectory, HostReport } from '../../ports/host-directory.js';

/** See the top of the file. */
export class HostReports {
  readonly #directory: HostDirectory;
  readonly #log: Log;
  /** The reports that wait, by host; `undefined`: one is being stored and none waits. */
  readonly #waiting = new Map<HostId, HostReport | undefined>();

  constructor(directory: HostDirectory, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** Stores a report, after the one of this host that is being stored. */
  store(report: HostReport): void {
    const { hostId } = report;
    const isStoring = this.#waiting.has(hostId);
    this.#waiting.set(hostId, report);
    if (!isStoring) void this.#storeAll(hostId);
  }

  async #storeAll(hostId: HostId): Promise<void> {
    for (let next = this.#waiting.get(hostId); next; next = this.#waiting.get(hostId)) {
      this.#waiting.set(hostId, undefined);
      await this.#directory.reported(next).catch((error: unknown) => {
        this.#log.warn('what a host reported could not be stored', { host: hostId, error: String(error) });
      });
    }
    this.#waiting.delete(hostId);
  }
}
