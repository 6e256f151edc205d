// How far something long is: on a terminal one line that changes, elsewhere a line now and then.

import type { Clock } from '@leasehold/program/clock';

/** Where it is told. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const ON_TERMINAL_MS = 200;
const ELSEWHERE_MS = 5_000;
const LINE_START = '\r\u001b[K';

/** Tells how far something is. */
export class Progress {
  readonly #clock: Clock;
  readonly #stream: ProgressStream;
  readonly #name: string;
  #toldMs: number;
  #isShown = false;

  /** `name`: what every line begins with. */
  constructor(clock: Clock, stream: ProgressStream, name: string) {
    this.#clock = clock;
    this.#stream = stream;
    this.#name = name;
    this.#toldMs = clock.now();
  }

  /** Where it is now; told if that is due. */
  now(text: () => string): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#toldMs < (this.#stream.isTTY ? ON_TERMINAL_MS : ELSEWHERE_MS)) return;
    this.#toldMs = nowMs;
    if (this.#stream.isTTY) {
      this.#stream.write(`${LINE_START}${this.#name}: ${text()}`);
      this.#isShown = true;
    } else this.say(text());
  }

  /** Says something, whatever is due. */
  say(text: string): void {
    this.clear();
    this.#stream.write(`${this.#name}: ${text}\n`);
  }

  /** Takes away a line that would have changed. */
  clear(): void {
    if (this.#isShown) this.#stream.write(LINE_START);
    this.#isShown = false;
  }
}

/** Counts for people: `17 networks, 1 host, 1,000,000 addresses, 0 ended tenures, 3 audit events`. */
export function formatCounts(counts: {
  readonly networks: number;
  readonly hosts: number;
  readonly slots: number;
  readonly history: number;
  readonly audit: number;
}): string {
  const { networks, hosts, slots, history, audit } = counts;
  return [
    quantity(networks, 'network'),
    quantity(hosts, 'host'),
    quantity(slots, 'address', 'addresses'),
    quantity(history, 'ended tenure'),
    quantity(audit, 'audit event'),
  ].join(', ');
}

/** A count with its noun. */
export function quantity(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
