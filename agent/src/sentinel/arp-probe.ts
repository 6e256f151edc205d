// Asks who uses an address, as RFC 5227 has it: requests by broadcast that claim no address themselves.

import type { Clock } from '@leasehold/program/clock';
import type { Ipv4, Mac } from '@leasehold/proto/values';

/** When requests go out, after the first one. A guest that is busy, or a switch that learns, loses one. */
export const PROBE_AT_MS = [0, 150, 300] as const;
/** When it is taken for unused. */
export const PROBE_FOR_MS = 500;

/** What a probe works with. */
export interface ProbeOptions {
  readonly clock: Clock;
  /** Sends a frame; what cannot be sent is lost. */
  readonly send: (frame: Uint8Array) => void;
  /** Of the interface. */
  readonly sourceMac: Mac;
  readonly address: Ipv4;
  /** Called once: with who uses it, or with undefined. */
  readonly done: (usedBy: Mac | undefined) => void;
}

/** A probe under way. */
export class ArpProbe {
  readonly address: Ipv4;
  readonly #done: ProbeOptions['done'];
  #isOver = false;

  constructor({ clock, send, sourceMac, address, done }: ProbeOptions) {
    this.address = address;
    this.#done = done;
    const frame = probeFrame(sourceMac, address);
    for (const atMs of PROBE_AT_MS) {
      clock.after(atMs, () => {
        if (!this.#isOver) send(frame);
      });
    }
    clock.after(PROBE_FOR_MS, () => this.answered(undefined));
  }

  /** Somebody said to have it; or nobody did in time. */
  answered(usedBy: Mac | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#done(usedBy);
  }
}

function probeFrame(sourceMac: Mac, address: Ipv4): Uint8Array {
  const mac = sourceMac.replaceAll(':', '');
  const target = address.toString(16).padStart(8, '0');
  // Ethernet by broadcast; ARP of IPv4 over Ethernet, a request; from this MAC and no address; for the address.
  return Buffer.from(`ffffffffffff${mac}08060001080006040001${mac}00000000000000000000${target}`, 'hex');
}
