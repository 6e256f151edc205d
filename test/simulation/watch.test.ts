// Watches, through the product's use cases, in virtual time.

import { EventEmitter } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import { WatchEventsRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { formatIpv4 } from '@leasehold/proto/values';
import type { Watch, WatchCommand, Watched } from '@leasehold/server/app/events';
import type { Refused, Result } from '@leasehold/server/domain/errors';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Network, Subnet } from '@leasehold/server/domain/network';
import type { Slot } from '@leasehold/server/domain/slot';
import { watchHandler } from '@leasehold/server/transport/watch';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { settle } from '../fakes/virtual-clock.js';
import { type GroupServer, release, reserve, ServerGroup } from './server-group.js';

let group: ServerGroup;
let a: GroupServer;

beforeEach(async () => {
  group = new ServerGroup({ watchLagMs: 20 });
  a = await group.start();
  await group.createSubnet(a, 'red', '10.0.0.0/24');
  await group.clock.advance(100);
});

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.abort();
  await group.stop();
});

const readers: Reader[] = [];

/** Reads a watch as fast as it can, or not at all. */
class Reader {
  readonly heard: Watched[] = [];
  end: Refused | 'aborted' | undefined;
  readonly #abort = new AbortController();
  readonly #watch: Watch;

  constructor(server: GroupServer, command: Partial<WatchCommand> = {}) {
    const all = { networkId: undefined, resumeToken: '', snapshot: false, ...command };
    this.#watch = accepted(server.plane.useCases.events.watch(all, this.#abort.signal));
    readers.push(this);
  }

  /** Reads until there is nothing more now. */
  async read(): Promise<this> {
    void this.#pull();
    await group.clock.advance(50);
    return this;
  }

  async #pull(): Promise<void> {
    const items = this.#watch.read();
    for (let next = await items.next(); ; next = await items.next()) {
      if (next.done) {
        this.end = next.value ?? 'aborted';
        return;
      }
      this.heard.push(next.value);
    }
  }

  abort(): void {
    this.#abort.abort();
    this.#watch.close();
  }

  /** What was heard, in words. */
  get words(): readonly string[] {
    return this.heard.map(inWords);
  }

  get token(): string {
    return this.heard.at(-1)?.resumeToken ?? '';
  }
}

function inWords(watched: Watched): string {
  if (watched.kind !== 'event') return watched.kind;
  const { event } = watched;
  switch (event.kind) {
    case 'reservation': {
      const { reservation } = event;
      const address = 'tenure' in reservation ? reservation.tenure.address : reservation.address;
      return `${event.change} ${reservation.state} ${formatIpv4(address)}`;
    }
    case 'network':
      return `${event.change} network ${event.network.networkId}`;
    case 'subnet':
      return `${event.change} subnet ${event.subnet.subnetId}`;
    case 'host':
      return `${event.change} host ${event.host.hostId}`;
    case 'placement':
      return `${event.change} placement ${event.placement.networkId}`;
  }
}

function accepted<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.error.kind}: ${result.error.message}`);
  return result.value;
}

async function reserved(server: GroupServer, n: number, subnetId = 'red'): Promise<string> {
  return formatIpv4(accepted(await group.during(reserve(server, subnetId, n))).tenure.address);
}

describe('a watch', () => {
  test('begins with a bookmark, and tells each change once, in order', async () => {
    const reader = await new Reader(a).read();
    const address = await reserved(a, 1);
    accepted(await group.during(release(a, 'red', address)));
    await reserved(a, 1);
    await group.clock.advance(100);
    expect(reader.words).toEqual([
      'bookmark',
      `created reserved ${address}`,
      `updated quarantined ${address}`,
      // The tenure that ended, and the one that took its place.
      `deleted ended ${address}`,
      `created reserved ${address}`,
    ]);
  });

  test('with a snapshot begins with what is there', async () => {
    const address = await reserved(a, 1);
    const reader = await new Reader(a, { snapshot: true }).read();
    expect(reader.words).toEqual([
      'present network red',
      'present subnet red',
      `present reserved ${address}`,
      'snapshot-end',
    ]);
    const next = await reserved(a, 2);
    await group.clock.advance(100);
    expect(reader.words.slice(4)).toEqual([`created reserved ${next}`]);
  });

  test('of one network tells nothing of others', async () => {
    const reader = await new Reader(a, { networkId: 'blue' as NetworkId }).read();
    await reserved(a, 1);
    await group.createSubnet(a, 'blue', '10.1.0.0/24');
    const address = await reserved(a, 1, 'blue');
    await group.clock.advance(100);
    expect(reader.words).toEqual([
      'bookmark',
      'created network blue',
      'created subnet blue',
      `created reserved ${address}`,
    ]);
  });

  test('in which nothing happens is marked every 30 s', async () => {
    const reader = await new Reader(a).read();
    await group.clock.advance(60_500);
    expect(reader.words).toEqual(['bookmark', 'bookmark', 'bookmark']);
  });

  test('is marked every 30 s also while there is no end of changes that are none of it', async () => {
    const reader = await new Reader(a, { networkId: 'blue' as NetworkId }).read();
    for (let n = 0; n < 65; n++) {
      await reserved(a, n);
      await group.clock.advance(1_000);
    }
    expect(reader.words).toEqual(['bookmark', 'bookmark', 'bookmark']);
    // It goes on from there, whatever was between.
    const { resumeToken = '' } = reader.heard.at(-1) ?? {};
    await group.createSubnet(a, 'blue', '10.1.0.0/24');
    const next = await new Reader(a, { networkId: 'blue' as NetworkId, resumeToken }).read();
    expect(next.words).toEqual(['created network blue', 'created subnet blue']);
  });

  test('is resumed after any event, also between two of one change, on any server', async () => {
    const whole = await new Reader(a).read();
    for (let n = 0; n < 5; n++) {
      const address = await reserved(a, n);
      accepted(await group.during(release(a, 'red', address)));
      await reserved(a, n);
    }
    await group.clock.advance(100);
    const b = await group.start();
    for (const [i, { resumeToken }] of whole.heard.entries()) {
      for (const server of [a, b]) {
        const rest = await new Reader(server, { resumeToken }).read();
        expect(rest.words).toEqual(whole.words.slice(i + 1));
        rest.abort();
      }
    }
  });

  test('that is resumed waits for what its server heard, also when a read of old changes has not got there yet', async () => {
    const whole = await new Reader(a).read();
    const { token } = whole;
    const address = await reserved(a, 1);
    await group.clock.advance(100);
    const b = await group.start();
    const read = b.store.changesAfter;
    const until: string[] = [];
    vi.spyOn(b.store, 'changesAfter').mockImplementation(async function* (position, end) {
      until.push(String(end));
      yield [];
      yield* read(position);
    });
    const rest = await new Reader(b, { resumeToken: token }).read();
    expect(rest.words).toEqual([`created reserved ${address}`]);
    expect(until).toEqual([group.disk.position]);
  });

  test('that is cancelled ends, and is counted no more', async () => {
    const reader = await new Reader(a).read();
    expect(a.plane.useCases.events.count).toBe(1);
    reader.abort();
    await settle();
    expect(reader.end).toBe('aborted');
    expect(a.plane.useCases.events.count).toBe(0);
  });
});

describe('a watch is refused', () => {
  const refusal = (command: Partial<WatchCommand>) => {
    const all = { networkId: undefined, resumeToken: '', snapshot: false, ...command };
    const result = a.plane.useCases.events.watch(all, new AbortController().signal);
    return result.ok ? 'ok' : result.error.kind;
  };

  test('with a token that is none', () => {
    expect(refusal({ resumeToken: 'nonsense' })).toBe('invalid-field');
  });

  test('with a token of another store: what came between is not known', async () => {
    const token = Buffer.from(JSON.stringify(['other/1', '0', 0])).toString('base64url');
    expect(refusal({ resumeToken: token })).toBe('watch-compacted');
  });

  test('when there are 128 already', async () => {
    for (let i = 0; i < 128; i++) new Reader(a);
    expect(refusal({})).toBe('rate-limited');
  });

  test('when its caller has 16 already, until one of them ends; others are not held up', () => {
    const { events } = a.plane.useCases;
    const all = { networkId: undefined, resumeToken: '', snapshot: false };
    const begin = (caller?: string) => events.watch(all, new AbortController().signal, caller);
    const [first] = Array.from({ length: 16 }, () => accepted(begin('engine/ovirt')));
    expect(begin('engine/ovirt')).toMatchObject({ error: { kind: 'rate-limited' } });
    expect([begin('engine/other').ok, begin().ok]).toEqual([true, true]);
    first?.close();
    expect(begin('engine/ovirt').ok).toBe(true);
  });
});

describe('a watch ends', () => {
  test('when what it needs is not kept any more', async () => {
    const reader = await new Reader(a).read();
    const { token } = reader;
    reader.abort();
    await reserved(a, 1);
    await group.clock.advance(100);
    group.disk.forgetChanges();
    const b = await group.start();
    const late = await new Reader(b, { resumeToken: token }).read();
    expect(late.end).toMatchObject({ error: { kind: 'watch-compacted' } });
  });

  /** A watch that nobody reads any more after its first event, and how it ended. */
  async function unread() {
    const all = { networkId: undefined, resumeToken: '', snapshot: false };
    const watch = accepted(a.plane.useCases.events.watch(all, new AbortController().signal));
    const ends: string[] = [];
    watch.onEnd(({ error }) => ends.push(error.kind));
    const items = watch.read();
    await items.next();
    const first = items.next();
    const address = await reserved(a, 1);
    await group.clock.advance(100);
    expect(inWords((await first).value as Watched)).toBe(`created reserved ${address}`);
    return { watch, ends };
  }

  test('when nobody reads it while more happens than is kept', async () => {
    const { watch, ends } = await unread();
    const slot = [...(group.disk.slots.get('red' as NetworkId)?.values() ?? [])][0] as Slot;
    const change = { kind: 'slot', slot, before: slot } as const;
    for (let n = 0; n < 3; n++) {
      group.disk.commit(Array.from({ length: 20_000 }, () => change));
      await group.clock.advance(100);
    }
    expect(ends).toEqual(['watch-too-slow']);
    watch.close();
  });

  test('when nobody reads it while fewer changes weigh as much', async () => {
    const { watch, ends } = await unread();
    const network = group.disk.networks.get('red' as NetworkId) as Network;
    const large = { ...network, subnets: Array.from({ length: 1_000 }, () => network.subnets[0] as Subnet) };
    const change = { kind: 'network', network, before: large } as const;
    for (let n = 0; n < 150; n++) group.disk.commit([change]);
    await group.clock.advance(100);
    expect(ends).toEqual([]);
    for (let n = 0; n < 150; n++) group.disk.commit([change]);
    await group.clock.advance(100);
    expect(ends).toEqual(['watch-too-slow']);
    watch.close();
  });
});

/** A stream of WatchEvents whose reader takes nothing until it reads. */
class PlayedStream extends EventEmitter {
  readonly request: WatchEventsRequest;
  readonly metadata = new Metadata();
  readonly destroyed = false;
  readonly writableEnded = false;
  cancelled = false;
  written = 0;
  readonly errors: string[] = [];

  constructor(request: Partial<WatchEventsRequest>) {
    super();
    this.request = WatchEventsRequest.fromPartial(request);
    this.on('error', ({ details }: { readonly details: string }) => this.errors.push(details));
    const { context, events, limits } = a.plane.useCases;
    const handle = watchHandler(a.log, events, context, limits.maxWatchStall);
    handle(this as unknown as Parameters<typeof handle>[0]);
  }

  write(): boolean {
    this.written++;
    return false;
  }

  cancel(): void {
    this.cancelled = true;
    this.emit('cancelled');
  }

  end(): void {}

  getPath(): string {
    return 'WatchEvents';
  }

  getAuthContext(): object {
    return {};
  }
}

describe('a reader that takes nothing', () => {
  /** Opens a watch with a snapshot, and answers how many snapshots are open. */
  async function stalled() {
    let open = 0;
    const take = a.store.snapshot;
    vi.spyOn(a.store, 'snapshot').mockImplementation(async () => {
      const snapshot = await take();
      open++;
      return { ...snapshot, close: async () => void open-- };
    });
    const stream = new PlayedStream({ snapshot: true });
    await settle();
    return { stream, open: () => open };
  }

  const count = () => a.plane.useCases.events.count;

  test('of a snapshot is ended after 30 s, and holds nothing any more', async () => {
    const { stream, open } = await stalled();
    await group.clock.advance(29_000);
    expect([stream.written, open(), count(), stream.errors]).toEqual([1, 1, 1, []]);
    await group.clock.advance(2_000);
    expect([stream.written, open(), count()]).toEqual([1, 0, 0]);
    expect(stream.errors).toEqual([expect.stringContaining('too slowly')]);
  });

  test('has the time again with everything that it takes', async () => {
    const { stream } = await stalled();
    for (let n = 0; n < 5; n++) {
      await group.clock.advance(29_000);
      stream.emit('drain');
      await settle();
    }
    expect(stream.errors).toEqual([]);
    stream.cancel();
  });

  test('of a snapshot and leaves holds nothing any more', async () => {
    const { stream, open } = await stalled();
    stream.cancel();
    await settle();
    expect([open(), count(), stream.errors]).toEqual([0, 0, []]);
  });
});
