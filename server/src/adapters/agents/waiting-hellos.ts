// Hellos that came while the lead goes, or seems to go, from one server to another: kept until it is known where it is, so
// that hosts are with the new holder as soon as there is one, and do not come back again and again meanwhile.
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
  readonly isKnown: () => boolean;
  readonly goOn: () => void;
}

/** See the top of the file. */
export class WaitingHellos {
  readonly #clock: Clock;
  #waiting: readonly Waiting[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is known who leads, when there is no room, it took too long, or the stream ended. */
  wait(entries: number, isOpen: () => boolean, isKnown: () => boolean): Promise<void> {
    if (isKnown()) return Promise.resolve();
    const inRoom = this.#waiting.reduce((sum, each) => sum + each.entries, 0);
    if (this.#waiting.length >= ROOM || inRoom + entries > ROOM_FOR_ENTRIES) return Promise.resolve();
    return new Promise((goOn) => {
      if (this.#waiting.length === 0) this.#lookLater();
      this.#waiting = [...this.#waiting, { entries, untilMs: this.#clock.now() + LONGEST_MS, isOpen, isKnown, goOn }];
    });
  }

  #lookLater(): void {
    this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  #look(): void {
    const now = this.#clock.now();
    const staying: Waiting[] = [];
    const going: Waiting[] = [];
    let beginning = 0;
    for (const each of this.#waiting) {
      const isOver = each.untilMs <= now || !each.isOpen();
      if (isOver || (beginning < AT_ONCE && each.isKnown())) going.push(each);
      else staying.push(each);
      if (!isOver && going.at(-1) === each) beginning++;
    }
    this.#waiting = staying;
    if (staying.length > 0) this.#lookLater();
    for (const { goOn } of going) goOn();
  }
}
