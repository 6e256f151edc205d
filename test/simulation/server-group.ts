// Several servers of one store, in one process and in virtual time. Their writes take time, and each sees those of the
// others, and its own, only a while later.

import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { type MemoryStore, openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type { ReleaseCommand } from '@leasehold/server/app/release';
import type { ReserveCommand } from '@leasehold/server/app/reserve';
import { type ControlPlane, startControlPlane } from '@leasehold/server/control-plane';
import type { NetworkId, SubnetId, WallTime } from '@leasehold/server/domain/ids';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { MemoryLog } from '../fakes/memory-log.js';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { CALL, releaseCommand, reserveCommand, subnetSettings } from './commands.js';
import type { HeldWatch } from './held-watch.js';

/** A server of a group. */
export interface GroupServer {
  readonly name: string;
  readonly plane: ControlPlane;
  readonly store: MemoryStore;
  readonly log: MemoryLog;
}

/** How a group's store behaves. */
export interface GroupOptions {
  readonly writeDelayMs?: number;
  /** How much later than it is durable a change is seen. */
  readonly watchLagMs?: number;
  readonly watch?: HeldWatch;
  /** What it is called; absent: by its number. */
  readonly name?: string;
}

/** The servers. */
export class ServerGroup {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk();
  /** How much later still what changes from now on is seen, which no writer waits for. */
  watchBehindMs = 0;
  readonly #options: GroupOptions;
  readonly #running = new Set<GroupServer>();
  #count = 0;

  constructor(options: GroupOptions = {}) {
    this.#options = options;
  }

  /** Starts one more; `options`: how the store behaves for it. */
  async start(options: GroupOptions = this.#options): Promise<GroupServer> {
    const { clock, disk } = this;
    const { writeDelayMs = 2, watchLagMs = 50, watch, name = `server-${this.#count + 1}` } = options;
    this.#count++;
    const log = new MemoryLog();
    const delay = { clock, writeDelayMs, watchLagMs, behindMs: () => this.watchBehindMs };
    const store = openMemoryStore({ disk, shared: true, delay });
    watch?.take(store, clock);
    const starting = startControlPlane({
      store,
      clock,
      entropy: new FixedEntropy(0.5, this.#count),
      log,
      makeBreaker: virtualBreakers(clock),
      advertise: `${name}:7067`,
      identity: { version: '0', name, startTime: clock.now() as WallTime, insecureListeners: [] },
    });
    const plane = await this.during(starting);
    const server = { name, plane, store, log };
    this.#running.add(server);
    return server;
  }

  /** Kills one: nothing of it runs on. */
  async kill(server: GroupServer): Promise<void> {
    this.#running.delete(server);
    server.store.fail(new Error('killed'));
    await this.during(server.plane.stop());
  }

  /** Who may act as the holder now. */
  acting(): readonly string[] {
    return [...this.#running].filter(({ plane }) => plane.lease.epoch !== undefined).map(({ name }) => name);
  }

  /** The answer to a call, and as much time as it takes. */
  async during<T>(call: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    call.then(over, over);
    for (let waitedMs = 0; !isOver && waitedMs < 60_000; waitedMs++) await this.clock.advance(1);
    return call;
  }

  /** Makes a network with one subnet of the same name. */
  async createSubnet({ plane: { useCases } }: GroupServer, name: string, cidr: string): Promise<void> {
    const network = { displayName: '', labels: {}, dhcpServerCount: 1, ipamEnabled: true };
    await this.during(useCases.networks.create(name as NetworkId, network, CALL));
    await this.during(useCases.subnets.create(name as NetworkId, name as SubnetId, subnetSettings(cidr), CALL));
  }

  /** Ends all. */
  async stop(): Promise<void> {
    for (const { plane, store } of this.#running) {
      await this.during(plane.stop());
      await this.during(store.close());
    }
  }
}

/** Reserves for the nth MAC. */
export function reserve({ plane }: GroupServer, subnetId: string, n: number, more: Partial<ReserveCommand> = {}) {
  return plane.useCases.reserve.reserve({ ...reserveCommand(subnetId, macOf(n), undefined), ...more }, CALL);
}

/** Releases an address. */
export function release({ plane }: GroupServer, subnetId: string, address: string, more: Partial<ReleaseCommand> = {}) {
  return plane.useCases.release.release({ ...releaseCommand(subnetId, address), ...more }, CALL);
}

/** The nth MAC. */
export function macOf(n: number): string {
  return `52:54:00:00:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
