// An engine that watches, and resumes at another server whenever the watch ends (S12): it must be told every change once,
// in order.

import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { WatchCommand, Watched } from '@leasehold/server/app/events';
import { type Event, eventsOf } from '@leasehold/server/domain/events';
import { type Position, StoreUnavailableError } from '@leasehold/server/ports/store';
import type { Report } from './invariants/store.js';
import type { Lane } from './network.js';
import { Machine } from './node.js';
import type { Seeded } from './seeded.js';
import type { ServerNode } from './server-node.js';
import type { Surroundings } from './surroundings.js';

const AGAIN_MS = 700;
// A server says something every 30 s.
const SILENT_MS = 40_000;
const LONGEST_MS = 120_000;

/** The watcher. */
export class Watcher {
  readonly #around: Surroundings;
  readonly #servers: readonly ServerNode[];
  readonly #disk: MemoryDisk;
  readonly #report: Report;
  readonly #chance: Seeded;
  readonly #machine: Machine;
  #connection = 0;
  #token = '';
  /** What was heard last: of the change after `#next` so many events. */
  #next: number | undefined;
  #skip = 0;
  #heard = 0;

  constructor(around: Surroundings, servers: readonly ServerNode[], disk: MemoryDisk, report: Report) {
    this.#around = around;
    this.#servers = servers;
    this.#disk = disk;
    this.#report = report;
    this.#chance = around.chance.of('watcher');
    this.#machine = new Machine(around.world, 'watcher', 0);
  }

  /** How many events it heard. */
  get heard(): number {
    return this.#heard;
  }

  /** Watches from now on. */
  start(): void {
    const { sessions, world } = this.#around;
    const connection = ++this.#connection;
    const server = this.#servers[connection % this.#servers.length];
    const { process, plane } = server ?? {};
    if (!server || !process || !plane) {
      this.#again(connection);
      return;
    }
    const lane = sessions.network.lane(server.machine, this.#machine);
    process.onKill(() => this.#again(connection));
    const aborting = new AbortController();
    // Also a watch that is well is left now and then.
    world.after(this.#chance.between(0, LONGEST_MS), () => {
      process.arrive(() => aborting.abort());
      this.#again(connection);
    });
    const command = { networkId: undefined, resumeToken: this.#token, snapshot: false };
    process.arrive(() => void this.#serve(plane, command, aborting.signal, connection, lane));
    this.#expectWord(connection, this.#heard);
  }

  async #serve(
    { useCases }: NonNullable<ServerNode['plane']>,
    command: WatchCommand,
    signal: AbortSignal,
    connection: number,
    lane: Lane,
  ): Promise<void> {
    const watch = useCases.events.watch(command, signal);
    if (!watch.ok) {
      if (watch.error.kind === 'invalid-field') this.#report('S12', `a token was refused: ${watch.error.message}`);
    } else {
      try {
        for await (const each of watch.value.read()) {
          lane.push(() => {
            if (connection === this.#connection) this.#hear(each);
          });
        }
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) this.#report('defect', `a watch ended with ${String(error)}`);
      }
      watch.value.close();
    }
    lane.push(() => this.#again(connection));
  }

  #expectWord(connection: number, heard: number): void {
    this.#around.world.after(SILENT_MS, () => {
      if (connection !== this.#connection) return;
      if (heard === this.#heard) this.#again(connection);
      else this.#expectWord(connection, this.#heard);
    });
  }

  #again(connection: number): void {
    if (connection !== this.#connection) return;
    this.#connection++;
    this.#around.world.after(AGAIN_MS, () => this.start());
  }

  #hear(told: Watched): void {
    this.#heard++;
    this.#token = told.resumeToken;
    if (told.kind !== 'event') {
      this.#marked(positionOf(told.resumeToken));
      return;
    }
    const expected = this.#expected();
    const is = textOf(told.event);
    if (expected === is) this.#skip++;
    else this.#report('S12', `a watch told ${is}, and what comes next is ${expected ?? 'nothing'}`);
  }

  /** It heard all that there was before. */
  #marked(after: Position): void {
    if (this.#next === undefined) {
      this.#next = this.#indexAfter(after);
      return;
    }
    const missed = this.#expected();
    const change = this.#disk.log[this.#next];
    if (missed !== undefined && change && change.position <= after) this.#report('S12', `a watch left out ${missed}`);
  }

  #indexAfter(after: Position): number {
    const index = this.#disk.log.findIndex(({ position }) => position > after);
    return index < 0 ? this.#disk.log.length : index;
  }

  /** The event that comes next; undefined: nothing happened since. */
  #expected(): string | undefined {
    if (this.#next === undefined) return undefined;
    for (let change = this.#disk.log[this.#next]; change; change = this.#disk.log[++this.#next]) {
      const event = eventsOf(change)[this.#skip];
      if (event) return textOf(event);
      this.#skip = 0;
    }
    return undefined;
  }
}

function textOf(event: Event): string {
  return JSON.stringify(event);
}

function positionOf(token: string): Position {
  const [, after] = JSON.parse(Buffer.from(token, 'base64url').toString()) as readonly unknown[];
  return after as Position;
}
