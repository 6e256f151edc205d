// The last changes of an embedded store, in their order, so that a watch is resumed where it ended, also after a restart.
//
//   L1. A change is logged in the transaction that makes it: its position is durable when it is.
//   L2. Positions only grow, and are never used twice.
//   L3. A change is kept for an hour, unless more than a million came after it.

import { setImmediate } from 'node:timers/promises';
import type { Change } from '../../domain/change.js';
import type { Host } from '../../domain/host.js';
import type { HostId, NetworkId } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { Slot } from '../../domain/slot.js';
import { type Position, type PositionedChange, PositionLostError } from '../../ports/store.js';
import type { RowCodec } from './codec.js';
import { changeKey, keyAfter, parseChangeKey } from './keys.js';
import type { Moment, Table } from './tables.js';

const KEPT_MS = 3_600_000;
const KEPT_CHANGES = 1_000_000;
const READ_AT_ONCE = 500;
const DIGITS = 16;

/** The log. */
export class ChangeLog {
  readonly #table: Table;
  readonly #codec: RowCodec;
  readonly #wallTimeMs: () => number;
  #sequence: number;
  /** The sequence before the oldest change that is kept. */
  #lost: number;

  /** Reads where the log of the store ends. */
  constructor(table: Table, codec: RowCodec, wallTimeMs: () => number) {
    this.#table = table;
    this.#codec = codec;
    this.#wallTimeMs = wallTimeMs;
    this.#sequence = Number(table.last()?.key ?? 0);
    const [oldest] = table.range(1);
    this.#lost = oldest ? Number(oldest.key) - 1 : this.#sequence;
  }

  /** Right after the last change as of a moment. */
  positionOf(moment: Moment): Position {
    const last = this.#table.last(moment);
    return last ? parseChangeKey(last.key) : position(this.#sequence);
  }

  /** Stages changes and gives them their positions. */
  stage(changes: readonly Change[]): readonly PositionedChange[] {
    const time = this.#wallTimeMs();
    return changes.map((change) => {
      const at = position(++this.#sequence);
      this.#table.put(changeKey(at), this.#print(change, time));
      return { ...change, position: at };
    });
  }

  /** Every durable change after a position, at once; undefined: it is not known. */
  known(after: Position): readonly PositionedChange[] | undefined {
    return this.#isKnown(after) ? this.#readSome(after, Number.MAX_SAFE_INTEGER) : undefined;
  }

  /** Every durable change after a position, some at a time. */
  async *read(after: Position): AsyncGenerator<readonly PositionedChange[]> {
    let from = after;
    for (;;) {
      if (!this.#isKnown(from)) throw new PositionLostError('The changes after it are not kept any more');
      const changes = this.#readSome(from, READ_AT_ONCE);
      const last = changes.at(-1);
      if (!last) return;
      yield changes;
      from = last.position;
      await setImmediate();
    }
  }

  #readSome(after: Position, limit: number): readonly PositionedChange[] {
    return Array.from(this.#table.range(limit, keyAfter(changeKey(after))), ({ key, value }) => ({
      ...this.#parse(value),
      position: parseChangeKey(key),
    }));
  }

  #isKnown(at: Position): boolean {
    return at >= position(this.#lost) && at <= position(this.#sequence);
  }

  /** Stages the removal of what need not be kept, at most `limit` changes; answers whether there is more. */
  prune(limit: number): boolean {
    const oldest = this.#wallTimeMs() - KEPT_MS;
    let removed = 0;
    for (const { key, value } of this.#table.range(limit)) {
      const sequence = Number(key);
      const isOld = Number(value.slice(1, value.indexOf('\n'))) < oldest;
      // The newest one says how far positions have come.
      if (sequence === this.#sequence || (!isOld && sequence > this.#sequence - KEPT_CHANGES)) return false;
      this.#table.remove(changeKey(position(sequence)));
      this.#lost = sequence;
      removed++;
    }
    return removed === limit;
  }

  // Lines, because none of what they hold has line breaks: the kind and the time; what is changed; the state before.
  #print(change: Change, time: number): string {
    switch (change.kind) {
      case 'slot': {
        const { slot, before } = change;
        const isOther = before !== undefined && before.reservationId !== slot.reservationId;
        return lines(
          's',
          time,
          place(slot),
          this.#codec.encodeForLog(slot),
          isOther ? this.#codec.encodeSlot(before) : '',
        );
      }
      case 'slot-gone':
        return lines('S', time, place(change), '', change.before ? this.#codec.encodeSlot(change.before) : '');
      case 'network':
        return lines('n', time, '', JSON.stringify(change.network), json(change.before));
      case 'network-gone':
        return lines('N', time, change.networkId, '', json(change.before));
      case 'host':
        return lines('h', time, '', JSON.stringify(change.host), json(change.before));
      case 'host-gone':
        return lines('H', time, change.hostId, '', json(change.before));
    }
  }

  #parse(text: string): Change {
    const [head = '', name = '', now = '', then = ''] = text.split('\n');
    switch (head.charAt(0)) {
      case 's':
        return { kind: 'slot', slot: this.#slot(name, now), ...(then && { before: this.#slot(name, then) }) };
      case 'S':
        return { kind: 'slot-gone', ...parsePlace(name), ...(then && { before: this.#slot(name, then) }) };
      case 'n':
        return {
          kind: 'network',
          network: JSON.parse(now) as Network,
          ...(then && { before: JSON.parse(then) as Network }),
        };
      case 'N':
        return {
          kind: 'network-gone',
          networkId: name as NetworkId,
          ...(then && { before: JSON.parse(then) as Network }),
        };
      case 'h':
        return { kind: 'host', host: JSON.parse(now) as Host, ...(then && { before: JSON.parse(then) as Host }) };
      case 'H':
        return { kind: 'host-gone', hostId: name as HostId, ...(then && { before: JSON.parse(then) as Host }) };
      default:
        throw new Error(`The log of changes has an entry ${JSON.stringify(head)}`);
    }
  }

  #slot(name: string, text: string): Slot {
    return this.#codec.decodeSlot(parsePlace(name), text);
  }
}

function position(sequence: number): Position {
  return String(sequence).padStart(DIGITS, '0') as Position;
}

function lines(kind: string, time: number, name: string, now: string, then: string): string {
  return `${kind}${time}\n${name}\n${now}\n${then}`;
}

function json(document: object | undefined): string {
  return document ? JSON.stringify(document) : '';
}

function place({ networkId, address }: Pick<Slot, 'networkId' | 'address'>): string {
  return `${networkId} ${address}`;
}

function parsePlace(text: string): Pick<Slot, 'networkId' | 'address'> {
  const [networkId, address] = text.split(' ');
  return { networkId: networkId as NetworkId, address: Number(address) as Slot['address'] };
}
