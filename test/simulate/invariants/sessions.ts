// S6 on the agents' side: what an agent says is of no older session than what it said before.

import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { SessionWitness } from '../session-network.js';
import type { Report } from './store.js';

interface Epoch {
  readonly holderEpoch: bigint;
  readonly counter: bigint;
}

/** Watches what agents say. */
export class SessionInvariants implements SessionWitness {
  readonly #report: Report;
  readonly #last = new Map<string, Epoch>();

  constructor(report: Report) {
    this.#report = report;
  }

  said(hostId: string, { message }: SessionRequest): void {
    const epoch = message && message.$case !== 'hello' ? message.value.sessionEpoch : undefined;
    if (!epoch) return;
    const last = this.#last.get(hostId);
    if (last && isBefore(epoch, last)) {
      this.#report('S6', `${hostId} speaks in session ${textOf(epoch)} after ${textOf(last)}`);
    }
    this.#last.set(hostId, { holderEpoch: epoch.holderEpoch, counter: epoch.counter });
  }

  told(_hostId: string, _server: string, _response: SessionResponse): void {}
}

function isBefore(a: Epoch, b: Epoch): boolean {
  return a.holderEpoch < b.holderEpoch || (a.holderEpoch === b.holderEpoch && a.counter < b.counter);
}

function textOf({ holderEpoch, counter }: Epoch): string {
  return `${holderEpoch}.${counter}`;
}
