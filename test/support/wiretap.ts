// Hears every DHCP message on a wire, and keeps it in order with what the test tells meanwhile.
//
// The order is that of the bridge, without clocks: a fact is noted after all that was forwarded before it was told.

import { join } from 'node:path';
import type { Bridge } from './netns.js';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';
import { type CarriedMessage, checkWire, type WireExceptions, type WireFact, type WireRecord } from './wire-check.js';

/** What its program prints. A mark follows everything that was forwarded before it was asked for. */
export type WiretapLine = CarriedMessage | { readonly kind: 'mark'; readonly lost: number };

const SHOWN_BEFORE = 30;

/** A running wiretap. */
export class Wiretap implements AsyncDisposable {
  readonly #process: WatchedProcess;
  readonly #records: WireRecord[] = [];
  #read = 0;
  #judged = 0;
  #queue: Promise<unknown> = Promise.resolve();

  readonly #exceptions: WireExceptions;

  private constructor(process: WatchedProcess, exceptions: WireExceptions) {
    this.#process = process;
    this.#exceptions = exceptions;
  }

  /** Hears what a bridge forwards from now on. */
  static async start(wire: Bridge, exceptions: WireExceptions): Promise<Wiretap> {
    const program = join(repositoryRoot, 'test/dist/support/wiretap-program.js');
    const process_ = new WatchedProcess(process.execPath, [program, wire.name], { namespace: wire.namespace });
    await process_.waitForLine(isMark);
    return new Wiretap(process_, exceptions);
  }

  /** Everything until now, and what was told. */
  records(): Promise<readonly WireRecord[]> {
    return this.#next(() => this.#records);
  }

  /** How many records there are: what comes later is behind it. */
  async position(): Promise<number> {
    return (await this.records()).length;
  }

  /** The messages of a MAC and the answers to it, from a position on. */
  async messages(mac: string, from = 0): Promise<readonly CarriedMessage[]> {
    const records = await this.records();
    return records.slice(from).flatMap((record) => (record.kind === 'message' && record.mac === mac ? [record] : []));
  }

  /** Tells what holds from now on. */
  tell(...facts: readonly WireFact[]): Promise<void> {
    return this.#next(() => {
      this.#records.push(...facts);
    });
  }

  /** Fails when anything was wrong since it was judged last. */
  judge(): Promise<void> {
    return this.#next(() => {
      const from = this.#judged;
      this.#judged = this.#records.length;
      const violations = checkWire(this.#records, this.#exceptions).filter(({ at }) => at >= from);
      if (violations.length === 0) return;
      const last = (violations[0]?.at ?? 0) + 1;
      const shown = this.#records.slice(Math.max(0, last - SHOWN_BEFORE), last).map((record) => JSON.stringify(record));
      const wrong = violations.map(({ rule, text }) => `${rule}: ${text}`);
      throw new Error(
        `On the wire:\n${wrong.join('\n')}\nThe first of them, and what was before:\n${shown.join('\n')}`,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }

  /** One at a time: catches up with the wire, then does something. */
  #next<T>(action: () => T): Promise<T> {
    const next = this.#queue.then(async () => {
      await this.#catchUp();
      return action();
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  async #catchUp(): Promise<void> {
    const { lines } = this.#process;
    const from = lines.length;
    this.#process.signal('SIGUSR2');
    const mark = await this.#process.waitForLine(isMark, from);
    if (mark.fields['lost'] !== 0) throw new Error(`The wiretap missed ${String(mark.fields['lost'])} frames`);
    for (; this.#read < lines.length; this.#read++) {
      const fields = lines[this.#read]?.fields as Partial<WireRecord> | undefined;
      if (fields?.kind === 'message') this.#records.push(fields as CarriedMessage);
    }
  }
}

function isMark({ fields }: { readonly fields: Readonly<Record<string, unknown>> }): boolean {
  return fields['kind'] === 'mark';
}
