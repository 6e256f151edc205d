// What agents say.
//
//   S6  It is of no older session than what the agent said before, and no table is of an older placement of its network.
//   D1  What an agent acknowledges is on its disk: a restart would answer the same. A network that it says to have left is
//       not there any more.

import { decodeTable } from '@leasehold/agent/state/table-image';
import type { SessionRequest, SessionResponse, TableState } from '@leasehold/proto/ipam/v1/session';
import type { SessionWitness } from '../session-network.js';
import type { Report } from './store.js';

interface Epoch {
  readonly holderEpoch: bigint;
  readonly counter: bigint;
}

/** The files of a host, by name. */
type FilesOf = (hostId: string) => ReadonlyMap<string, Buffer> | undefined;

const IMAGE = '.table';
// Most are shorter when they are acknowledged; reading them all again and again would take most of a run's time.
const SHORT_BYTES = 4_096;

/** Watches what agents say. */
export class SessionInvariants implements SessionWitness {
  readonly #report: Report;
  readonly #filesOf: FilesOf;
  readonly #last = new Map<string, Epoch>();
  readonly #incarnations = new Map<string, bigint>();
  /** By host and network: the placement that its table is of. */
  readonly #placements = new Map<string, bigint>();

  constructor(report: Report, filesOf: FilesOf) {
    this.#report = report;
    this.#filesOf = filesOf;
  }

  said(hostId: string, { message }: SessionRequest): void {
    const epoch = message && message.$case !== 'hello' ? message.value.sessionEpoch : undefined;
    if (!epoch) return;
    const last = this.#last.get(hostId);
    if (last && isBefore(epoch, last)) {
      this.#report('S6', `${hostId} speaks in session ${textOf(epoch)} after ${textOf(last)}`);
    }
    this.#last.set(hostId, { holderEpoch: epoch.holderEpoch, counter: epoch.counter });
    const tables = message?.$case === 'heartbeat' ? message.value.tables : [];
    const acked = message?.$case === 'deliveryAck' ? message.value.table : undefined;
    for (const table of acked ? [acked] : tables) this.#placed(hostId, table);
    if (acked) this.#acknowledged(hostId, acked);
  }

  #placed(hostId: string, { networkId, networkUid, placementEpoch, digest }: TableState): void {
    // What it left may be said long after it was placed anew, when the disk is willing.
    if (digest.length === 0) return;
    const key = `${hostId} ${networkUid}`;
    const last = this.#placements.get(key) ?? 0n;
    if (placementEpoch < last) {
      this.#report('S6', `${hostId} has ${networkId} by placement ${placementEpoch} after ${last}`);
    }
    this.#placements.set(key, placementEpoch);
  }

  #acknowledged(hostId: string, { networkId, digest }: TableState): void {
    const files = this.#filesOf(hostId) ?? new Map<string, Buffer>();
    for (const [name, image] of files) {
      const journal = files.get(name.replace(IMAGE, '.journal'));
      if (!name.endsWith(IMAGE) || (journal?.length ?? 0) > SHORT_BYTES) continue;
      const found = decodeTable(image, journal);
      if (typeof found === 'string' || found.header.networkId !== networkId) continue;
      if (found.table.digest().equals(digest)) return;
      const what = digest.length === 0 ? 'to have left' : 'to have taken in what is not on its disk of';
      this.#report('D1', `${hostId} says ${what} ${networkId}`);
    }
  }

  told(hostId: string, _server: string, { message }: SessionResponse): void {
    if (message?.$case !== 'welcome') return;
    const { incarnation } = message.value;
    // A later incarnation counts anew.
    if (incarnation <= (this.#incarnations.get(hostId) ?? 0n)) return;
    this.#incarnations.set(hostId, incarnation);
    this.#last.delete(hostId);
  }
}

function isBefore(a: Epoch, b: Epoch): boolean {
  return a.holderEpoch < b.holderEpoch || (a.holderEpoch === b.holderEpoch && a.counter < b.counter);
}

function textOf({ holderEpoch, counter }: Epoch): string {
  return `${holderEpoch}.${counter}`;
}
