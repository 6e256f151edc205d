// Who cannot answer any more with what was released, by what the server knows: the rule after which a released address
// may go to another MAC (protocol: authority, acknowledgements), watched from outside so that no address need be reused.
//
//   A host is done with a released address once the server
//   - has from it the acknowledgement of everything it sent after the release, or
//   - has not heard it for longer than S.
//   From then on the host must not answer with it, whatever it loses or restarts, until it is reserved again.

import type { WireWitness } from '@leasehold/fake/session-wire';
import type { Clock } from '@leasehold/program/clock';

/** A release is sent out within this time. */
const SENT_MS = 100;
const SLACK_MS = 1_000;

interface Heard {
  atMs: number;
  /** The last delivery of the session. */
  sent: bigint;
  /** What it must not answer with any more. */
  readonly done: Set<string>;
}

/** Watches the hosts of an installation with one network. */
export class Removals {
  readonly #clock: Clock;
  readonly #authorityMs: number;
  readonly #hosts = new Map<string, Heard>();
  /** When what was released, as `MAC=ADDRESS`. */
  readonly #released = new Map<string, number>();

  constructor(clock: Clock, authorityMs: number) {
    this.#clock = clock;
    this.#authorityMs = authorityMs;
  }

  /** What a host's wire is to be told. */
  witness(hostId: string): WireWitness {
    const host: Heard = { atMs: this.#clock.now(), sent: 0n, done: new Set() };
    this.#hosts.set(hostId, host);
    return {
      heard: ({ message }) => {
        this.#silent(host);
        host.atMs = this.#clock.now();
        if (message?.$case !== 'deliveryAck' || (message.value.table?.sequence ?? 0n) < host.sent) return;
        for (const [answer, atMs] of this.#released) if (host.atMs > atMs + SENT_MS) host.done.add(answer);
      },
      said: ({ message }) => {
        if (message?.$case === 'welcome') host.sent = 0n;
        if (message?.$case === 'delivery') host.sent = message.value.sequence;
      },
    };
  }

  released(answer: string): void {
    this.#released.set(answer, this.#clock.now());
  }

  reserved(answer: string): void {
    this.#released.delete(answer);
    for (const { done } of this.#hosts.values()) done.delete(answer);
  }

  /** Whether a host could not answer so any more, and yet may be asked. */
  isDone(hostId: string, answer: string): boolean {
    const host = this.#hosts.get(hostId);
    if (!host) return false;
    this.#silent(host);
    return host.done.has(answer);
  }

  #silent(host: Heard): void {
    if (this.#clock.now() <= host.atMs + this.#authorityMs + SLACK_MS) return;
    for (const answer of this.#released.keys()) host.done.add(answer);
  }
}
