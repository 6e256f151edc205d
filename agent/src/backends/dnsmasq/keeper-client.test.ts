import type { Parsed } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { MemoryLog } from '../../../../test/fakes/memory-log.js';
import { settle, VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import { type Child, type ChildEvents, Keeper } from './keeper.js';
import { ASK_MS, type KeeperChannel, KeeperClient, type KeeperLinkEvents, PATIENCE_MS } from './keeper-client.js';
import { KEEPER_PROTOCOL } from './keeper-protocol.js';

const NO_EVENTS = { onLine: () => undefined, onExit: () => undefined };

test('what is started is found by the next agent, with its arguments', async () => {
  const host = makeHost();
  const first = host.client();
  expect(await first.start('red', ['a', 'b'], host.clock.now() + 60_000, NO_EVENTS)).toMatchObject({ ok: true });
  await first.close();
  const found = await host.client().find('red', NO_EVENTS);
  expect(found).toMatchObject({ ok: true, value: { pid: 100, args: ['a', 'b'] } });
});

test('to ask starts no keeper, and nothing runs then', async () => {
  const host = makeHost();
  const client = host.client();
  expect(await client.find('red', NO_EVENTS)).toEqual({ ok: true, value: undefined });
  await client.keepOnly(new Set());
  expect(host.started()).toBe(0);
  expect(await client.start('red', [], host.clock.now() + 1_000, NO_EVENTS)).toMatchObject({ ok: true });
  expect(host.started()).toBe(1);
});

test('others than those that are named are ended', async () => {
  const host = makeHost();
  const first = host.client();
  for (const key of ['red', 'blue']) await first.start(key, [], host.clock.now() + 60_000, NO_EVENTS);
  await first.close();
  await host.client().keepOnly(new Set(['blue']));
  expect(host.alive()).toEqual(['blue']);
});

test('a keeper that dies took everything with it: each end is told once, and the next start begins another', async () => {
  const host = makeHost();
  const client = host.client();
  const ends: string[] = [];
  for (const key of ['red', 'blue']) {
    const events = { onLine: () => undefined, onExit: (reason: string) => ends.push(`${key}: ${reason}`) };
    await client.start(key, [], host.clock.now() + 60_000, events);
  }
  host.crash();
  await host.clock.advance(10 * PATIENCE_MS);
  expect(ends).toEqual(['red: The keeper of dnsmasq has ended', 'blue: The keeper of dnsmasq has ended']);
  expect(await client.start('red', [], host.clock.now() + 60_000, NO_EVENTS)).toMatchObject({ ok: true });
  expect(host.started()).toBe(2);
});

test('a keeper that is frozen is killed, and what it kept', async () => {
  const host = makeHost();
  const client = host.client();
  const ends: string[] = [];
  const events = { onLine: () => undefined, onExit: (reason: string) => ends.push(reason) };
  await client.start('red', [], host.clock.now() + 3_600_000, events);
  host.freeze();
  await host.clock.advance(ASK_MS + PATIENCE_MS - 1);
  expect(ends).toEqual([]);
  await host.clock.advance(1);
  expect(ends).toEqual(['The keeper of dnsmasq has ended']);
  expect(host.alive()).toEqual([]);
});

test('a keeper that cannot be started is a refusal with its reason', async () => {
  const host = makeHost();
  host.refuse('Path is too long for a socket');
  expect(await host.client().start('red', [], host.clock.now() + 1_000, NO_EVENTS)).toEqual({
    ok: false,
    problem: 'Path is too long for a socket',
  });
});

test('a keeper of another version is ended', async () => {
  const host = makeHost();
  host.greetWith(99);
  const client = host.client();
  const started = await client.start('red', [], host.clock.now() + 60_000, NO_EVENTS);
  expect(started).toEqual({ ok: false, problem: 'The keeper of dnsmasq did not answer and is ended' });
  expect(host.kills()).toBe(1);
});

test('what has ended by the time that its start is heard of was not started', async () => {
  const ends: string[] = [];
  const link = {
    async connect(said: KeeperLinkEvents): Promise<Parsed<KeeperChannel>> {
      void settle().then(() => said.onMessage({ protocol: KEEPER_PROTOCOL, pid: 1 }));
      const send: KeeperChannel['send'] = (command) => {
        if (command.do !== 'start') return;
        void settle().then(() => {
          // As of one piece from the socket.
          said.onMessage({ re: command.id, pid: 7 });
          said.onMessage({ key: command.key, pid: 7, exit: 'port taken' });
        });
      };
      return { ok: true, value: { send, close: () => undefined } };
    },
    kill: () => undefined,
  };
  const client = new KeeperClient(link, new VirtualClock(), new MemoryLog());
  const events = { onLine: () => undefined, onExit: (reason: string) => ends.push(reason) };
  expect(await client.start('red', [], 60_000, events)).toEqual({ ok: false, problem: 'port taken' });
  expect(ends).toEqual(['port taken']);
});

function makeHost() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const running = new Map<string, ChildEvents>();
  let [pid, started, kills, protocol] = [100, 0, 0, KEEPER_PROTOCOL];
  let keeper: Keeper | undefined;
  let isFrozen = false;
  let refusal: string | undefined;
  let lose: () => void = () => undefined;
  const startKeeper = () => {
    started++;
    return new Keeper({
      clock,
      pid: 1,
      start(key, _args, events): Child {
        running.set(key, events);
        return {
          pid: pid++,
          kill: () => {
            if (running.delete(key)) events.onExit('ended by SIGKILL');
          },
          reread: () => undefined,
        };
      },
      onIdle: () => {
        keeper = undefined;
      },
    });
  };
  const crash = () => {
    keeper = undefined;
    running.clear();
    lose();
  };
  const link = {
    async connect(events: KeeperLinkEvents, mayStart: boolean): Promise<Parsed<KeeperChannel | undefined>> {
      if (refusal !== undefined) return { ok: false, problem: refusal };
      if (!keeper && !mayStart) return { ok: true, value: undefined };
      keeper ??= startKeeper();
      let isOpen = true;
      const connection = keeper.connect((message) => {
        const said = 'protocol' in message ? { ...message, protocol } : message;
        void settle().then(() => isOpen && events.onMessage(said));
      });
      const close = () => {
        isOpen = false;
      };
      lose = () => {
        if (isOpen) events.onClose();
        close();
      };
      return {
        ok: true,
        value: {
          send: (command) => {
            if (!isFrozen) connection.receive(command);
          },
          close: () => {
            close();
            connection.closed();
          },
        },
      };
    },
    kill: () => {
      kills++;
      crash();
    },
  };
  return {
    clock,
    client: () => new KeeperClient(link, clock, log),
    crash,
    alive: () => [...running.keys()],
    started: () => started,
    kills: () => kills,
    freeze: () => {
      isFrozen = true;
    },
    refuse: (problem: string) => {
      refusal = problem;
    },
    greetWith: (version: number) => {
      protocol = version;
    },
  };
}
