// What is remembered of hosts, and for how long. What follows for addresses: test/simulation/reuse.test.ts.

import { expect, test } from 'vitest';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, Uid } from '../domain/ids.js';
import type { Network, Placement } from '../domain/network.js';
import { mayAnswerForMs } from '../domain/reuse.js';
import { HostAnswers } from './host-answers.js';
import { KeyedQueue } from './keyed-queue.js';

const RED = 'red' as NetworkId;
const H1 = 'h1' as HostId;
const S = 3_600;
const S_MS = mayAnswerForMs(S);

/** One network, and h1, whatever the view shows of it. */
class OneHost {
  nowMs = 0;
  signMs: number | undefined;
  readonly #hosts = new Map<HostId, Host>();
  readonly answers: HostAnswers;

  constructor(incarnation = 1) {
    const settings = { authorityCeilingS: S, incarnation };
    const unwritten = { put: () => Promise.resolve('conflict') };
    const context = {
      clock: { now: () => this.nowMs },
      lease: { epoch: 1 },
      view: { hosts: this.#hosts, networks: new Map() },
      store: { settings, hosts: unwritten, networks: unwritten },
      hosts: {
        host: () => undefined,
        isPresent: () => false,
        lastSignMs: () => this.signMs,
        takenInMs: () => Number.NEGATIVE_INFINITY,
      },
    };
    this.answers = new HostAnswers(context as never, 1, new KeyedQueue());
  }

  shows(host: Host): void {
    this.#hosts.set(H1, host);
  }

  showsNoMore(): void {
    this.#hosts.delete(H1);
  }

  /** From when on the host of a placement cannot answer any more. */
  silencedMs(hostUid: string): number {
    return this.answers.answer(RED, { hostId: H1, hostUid, epoch: 1 } as Placement).silencedMs;
  }

  /** Who may answer in a network that knows nobody. */
  everywhere(): readonly HostId[] {
    const network = { networkId: RED, placements: [], formerServers: [] } as Partial<Network> as Network;
    return this.answers.of(network, 0).map(({ hostId }) => hostId);
  }
}

function h1(uid: string, revision: number, more: Partial<Host> = {}): Host {
  return { hostId: H1, uid: uid as Uid, revision, ...more } as Host;
}

const FENCE = { reason: 'dead', by: 'op', time: 1 } as NonNullable<Host['fence']>;

test('the silence of a host is remembered while it is there, and not when it is gone', async () => {
  const world = new OneHost();
  world.shows(h1('u1', 1));
  world.answers.begin();
  world.nowMs = 10_000;
  await world.answers.store();
  expect(world.silencedMs('u1')).toBe(S_MS);
  world.showsNoMore();
  await world.answers.store();
  world.shows(h1('u1', 1));
  expect(world.silencedMs('u1')).toBe(10_000 + S_MS);
});

test('when a host was seen to be fenced is remembered while it is there, and not when it is gone', async () => {
  const world = new OneHost();
  world.answers.begin();
  world.shows(h1('u1', 1, { fence: FENCE }));
  expect(world.silencedMs('u1')).toBe(0);
  world.nowMs = 10_000;
  await world.answers.store();
  expect(world.silencedMs('u1')).toBe(0);
  world.showsNoMore();
  await world.answers.store();
  world.shows(h1('u1', 1, { fence: FENCE }));
  expect(world.silencedMs('u1')).toBe(10_000);
});

test('a hello ends a fence, however late the view shows both', async () => {
  const world = new OneHost();
  world.answers.begin();
  // Stored, fenced, and heard again: the view does not even show that it is there.
  world.answers.greeted(h1('u1', 2, { fence: FENCE }));
  world.signMs = 0;
  for (; world.nowMs < 100_000; world.nowMs += 10_000) await world.answers.store();
  world.shows(h1('u1', 1));
  await world.answers.store();
  world.shows(h1('u1', 2, { fence: FENCE }));
  await world.answers.store();
  expect(world.silencedMs('u1')).toBe(S_MS);
});

test('a host that may answer anywhere is waited for, though one that had its name left the view after its hello', async () => {
  const world = new OneHost(2);
  world.shows(h1('u1', 1));
  world.answers.begin();
  expect(world.everywhere()).toEqual([H1]);
  world.answers.greeted(h1('u2', 0));
  world.showsNoMore();
  await world.answers.store();
  await world.answers.store();
  expect(world.everywhere()).toEqual([]);
  world.shows(h1('u2', 1));
  expect(world.everywhere()).toEqual([H1]);
});

test('a host that may answer anywhere is not looked for any more when it is gone', async () => {
  const world = new OneHost(2);
  world.shows(h1('u1', 1));
  world.answers.begin();
  world.showsNoMore();
  await world.answers.store();
  world.shows(h1('u1', 1));
  expect(world.everywhere()).toEqual([]);
});
