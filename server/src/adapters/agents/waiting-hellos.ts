// Hellos that came while the lead is about to go from one server to another: kept until it is known where it went, so that
// hosts are with the new holder as soon as there is one, and do not come back again and again meanwhile.
//
//   G1. What waits is bounded in number, in size and in time; who finds no room is refused as ever.
//   G2. They go on in the order in which they came, not all at one moment: each costs a look into the store.

import type { Clock } from '@leasehold/program/clock';

const ROOM = 1_000;
// Attachments and tables: some 30 MB.
const ROOM_FOR_ENTRIES = 100_000;
const LONGEST_MS = 10_000;
const LOOK_EVERY_MS = 100;
const AT_ONCE = 100;

interface Waiting {
  readonly entries: number;
  readonly untilMs: number;
  readonly isOpen: () => boolean;
  readonly goOn: () => void;
}

/** See the top of the file. */
export class WaitingHellos {
  readonly #clock: Clock;
  readonly #mayGoOn: () => boolean;
  #waiting: readonly Waiting[] = [];

  /** `mayGoOn`: whether there is nothing to wait for. */
  constructor(clock: Clock, mayGoOn: () => boolean) {
    this.#clock = clock;
    this.#mayGoOn = mayGoOn;
  }

  /** Resolves when there is nothing to wait for any more, when there is no room, it took too long, or the stream ended. */
  wait(entries: number, isOpen: () => boolean): Promise<void> {
    const inRoom = this.#waiting.reduce((sum, each) => sum + each.entries, 0);
    if (this.#waiting.length >= ROOM || inRoom + entries > ROOM_FOR_ENTRIES) return Promise.resolve();
    return new Promise((goOn) => {
      if (this.#waiting.length === 0) this.#lookLater();
      this.#waiting = [...this.#waiting, { entries, untilMs: this.#clock.now() + LONGEST_MS, isOpen, goOn }];
    });
  }

  #lookLater(): void {
    this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  #look(): void {
    const now = this.#clock.now();
    const isOver = ({ untilMs, isOpen }: Waiting) => untilMs <= now || !isOpen();
    const over = this.#waiting.filter(isOver);
    const staying = this.#waiting.filter((each) => !isOver(each));
    const going = this.#mayGoOn() ? AT_ONCE : 0;
    this.#waiting = staying.slice(going);
    if (this.#waiting.length > 0) this.#lookLater();
    for (const { goOn } of [...over, ...staying.slice(0, going)]) goOn();
  }
}
