import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { describe, expect, test } from 'vitest';
import { FixedEntropy } from '../../test/fakes/fixed-entropy.js';
import { MemoryLog } from '../../test/fakes/memory-log.js';
import { ScriptedServer } from '../../test/fakes/scripted-server.js';
import { VirtualClock } from '../../test/fakes/virtual-clock.js';
import type { NamedHolder } from './session/named-holder.js';
import type { Greeting, SessionControl } from './session/session-runner.js';
import { MIN_UPTIME_MS, Supervisor } from './supervisor.js';

// random() is below 1: with this the waits are almost their upper bounds.
const ALMOST_ONE = 0.999_999;

function start(servers = ['a'], random = ALMOST_ONE) {
  const clock = new VirtualClock(0);
  const log = new MemoryLog();
  const transport = new ScriptedServer();
  const runner = {
    control: undefined as SessionControl | undefined,
    received: [] as SessionResponse[],
    ended: 0,
    begin: (_channel: unknown, control: SessionControl) => {
      runner.control = control;
    },
    receive: (response: SessionResponse) => void runner.received.push(response),
    end: () => void runner.ended++,
    mayLead: (holder: NamedHolder) => holder.of?.storeUid !== 'over',
    leadsLater: (holder: NamedHolder) => holder.of?.storeUid === 'later',
    /** What comes of what is answered to a hello beside the session. */
    answer: 'taken' as ReturnType<Greeting['answered']>,
    greet: () => ({
      answered: (_response: SessionResponse, control: SessionControl) => {
        if (runner.answer === 'taken') runner.control = control;
        return runner.answer;
      },
    }),
  };
  const supervisor = new Supervisor({ clock, log, transport, entropy: new FixedEntropy(random) }, servers, runner);
  supervisor.start();
  return { clock, log, transport, runner, supervisor };
}

/** How long after a session ended the next one is dialled, for `count` sessions. */
async function waits(world: ReturnType<typeof start>, count: number): Promise<number[]> {
  const result: number[] = [];
  for (let i = 0; i < count; i++) {
    const ended = world.clock.now();
    const sessions = world.transport.sessions.length;
    world.transport.session.drop();
    const due = world.clock.nextDue() ?? Number.NaN;
    result.push(Math.round(due - ended));
    await world.clock.advance(due - ended);
    expect(world.transport.sessions).toHaveLength(sessions + 1);
  }
  return result;
}

test('waits double from 100 ms to 5 s', async () => {
  expect(await waits(start(), 8)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test('waits are spread from nothing to their bound', async () => {
  expect(await waits(start(['a'], 0), 3)).toEqual([0, 0, 0]);
  expect(await waits(start(['a'], 0.5), 3)).toEqual([50, 100, 200]);
});

test('waits begin anew after a session was open for five seconds, and not before', async () => {
  const world = start();
  await waits(world, 4);
  world.runner.control?.opened();
  await world.clock.advance(MIN_UPTIME_MS - 1);
  expect(await waits(world, 1)).toEqual([1_600]);
  world.runner.control?.opened();
  await world.clock.advance(MIN_UPTIME_MS);
  expect(await waits(world, 2)).toEqual([100, 200]);
});

test('a connection that never became a session counts as a failure, however long it lasted', async () => {
  const world = start();
  await waits(world, 3);
  await world.clock.advance(30_000);
  expect(await waits(world, 1)).toEqual([800]);
});

test('servers are tried in turn', async () => {
  const world = start(['a', 'b', 'c']);
  await waits(world, 4);
  expect(world.transport.sessions.map(({ server }) => server)).toEqual(['a', 'b', 'c', 'a', 'b']);
});

describe('after an open session', () => {
  test('the first attempt is spread as far as that dictated last, the next ones are not', async () => {
    const world = start();
    world.runner.control?.opened();
    world.runner.control?.dictated({ intervalMs: 1_000, spreadMs: 3_000 });
    world.runner.control?.dictated({ intervalMs: 20_000, spreadMs: 47_500 });
    await world.clock.advance(MIN_UPTIME_MS);
    expect(await waits(world, 3)).toEqual([47_500, 200, 400]);
  });

  test('an attempt that came to no session is not spread', async () => {
    const world = start();
    world.runner.control?.dictated({ intervalMs: 20_000, spreadMs: 47_500 });
    expect(await waits(world, 1)).toEqual([100]);
  });

  test('it is spread to who is named as well: the others were named it, too', async () => {
    const world = start();
    world.runner.control?.opened();
    world.runner.control?.dictated({ intervalMs: 4_000, spreadMs: 10_000 });
    world.transport.session.drop('', { endpoint: 'b' });
    expect(Math.round((world.clock.nextDue() ?? 0) - world.clock.now())).toBe(10_000);
  });
});

describe('a server that names who leads', () => {
  /** The servers dialled, when each of `names` says what it is given to, and others are away. */
  async function dialled(servers: string[], names: Record<string, string>, count: number): Promise<string[]> {
    const world = start(servers, 0);
    while (world.transport.sessions.length < count) {
      const { session } = world.transport;
      const endpoint = names[session.server];
      session.drop('', endpoint === undefined ? undefined : { endpoint });
      await world.clock.advance(0);
    }
    return world.transport.sessions.map(({ server }) => server);
  }

  test('is believed: that one is dialled next', async () => {
    expect(await dialled(['a'], { a: 'b' }, 2)).toEqual(['a', 'b']);
  });

  test('is believed once: when that one is away it is the turn of the configured ones', async () => {
    expect(await dialled(['a', 'c'], { a: 'b' }, 4)).toEqual(['a', 'b', 'c', 'a']);
  });

  test('and is named by that is not followed round and round', async () => {
    expect(await dialled(['a'], { a: 'b', b: 'a' }, 4)).toEqual(['a', 'b', 'a', 'b']);
    expect(await dialled(['a'], { a: 'a' }, 3)).toEqual(['a', 'a', 'a']);
    expect(await dialled(['a', 'b'], { a: 'b', b: 'a' }, 5)).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  test('and was dialled just now is passed over when its own turn comes', async () => {
    expect(await dialled(['a', 'b', 'c'], { c: 'a' }, 6)).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('and leads from one to the next is followed three times', async () => {
    const chain = { a: 'b', b: 'c', c: 'd', d: 'e', e: 'f' };
    expect(await dialled(['a'], chain, 6)).toEqual(['a', 'b', 'c', 'd', 'a', 'b']);
  });

  test('costs the wait of a failure for every round of those that name each other', async () => {
    const world = start(['a']);
    const gaps: number[] = [];
    for (let i = 0; i < 6; i++) {
      world.transport.session.drop('', { endpoint: i % 2 === 0 ? 'b' : 'a' });
      const due = (world.clock.nextDue() ?? 0) - world.clock.now();
      gaps.push(Math.round(due));
      await world.clock.advance(due);
    }
    expect(gaps).toEqual([100, 100, 100, 200, 100, 400]);
  });

  test('that is known to be over is not followed', async () => {
    const world = start(['a', 'c'], 0);
    world.transport.session.drop('', { endpoint: 'b', of: { storeUid: 'over', incarnation: 1n, holderEpoch: 1n } });
    await world.clock.advance(0);
    expect(world.transport.session.server).toBe('c');
  });

  test('and had a session is dialled when its turn comes', async () => {
    const world = start(['a', 'b'], 0);
    world.transport.session.drop('', { endpoint: 'b' });
    await world.clock.advance(0);
    world.runner.control?.opened();
    world.transport.session.drop();
    await world.clock.advance(0);
    expect(world.transport.session.server).toBe('b');
  });

  test('and whose session opened is tried in turn with the configured ones', async () => {
    const world = start(['a'], 0);
    world.transport.session.drop('', { endpoint: 'b' });
    await world.clock.advance(0);
    world.runner.control?.opened();
    for (let i = 0; i < 3; i++) {
      world.transport.session.drop();
      await world.clock.advance(0);
    }
    expect(world.transport.sessions.map(({ server }) => server)).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  test('after it led itself is followed, whoever was asked before', async () => {
    const world = start(['a'], 0);
    world.transport.session.drop('', { endpoint: 'b' });
    await world.clock.advance(0);
    world.runner.control?.opened();
    world.transport.session.drop('', { endpoint: 'c' });
    await world.clock.advance(0);
    expect(world.transport.session.server).toBe('c');
  });
});

test('a server that does not answer the hello is left after a minute', async () => {
  const world = start();
  await world.clock.advance(59_999);
  expect(world.transport.sessions).toHaveLength(1);
  await world.clock.advance(101);
  expect(world.transport.sessions).toHaveLength(2);
  expect(world.transport.sessions[0]?.closedByAgent).toBe(true);
});

test('an open session stays, however long', async () => {
  const world = start();
  world.runner.control?.opened();
  await world.clock.advance(24 * 3_600_000);
  expect(world.transport.sessions).toHaveLength(1);
});

describe('while nothing is acknowledged', () => {
  const LATER = { endpoint: 'c', of: { storeUid: 'later', incarnation: 1n, holderEpoch: 2n } };

  /** A session with `a` in which nothing is acknowledged. */
  async function unanswered(servers = ['a', 'b'], random = 0) {
    const world = start(servers, random);
    const { session } = world.transport;
    world.runner.control?.opened();
    return { ...world, session };
  }

  const dialled = ({ transport }: ReturnType<typeof start>) => transport.sessions.map(({ server }) => server);

  test('another server is asked after five seconds, and the session stays', async () => {
    const world = await unanswered();
    await world.clock.advance(4_999);
    expect(dialled(world)).toEqual(['a']);
    await world.clock.advance(1);
    expect(dialled(world)).toEqual(['a', 'b']);
    expect(world.session.closedByAgent).toBe(false);
    expect(world.runner.ended).toBe(0);
  });

  test('nobody is asked while heartbeats are acknowledged, or where there is no other', async () => {
    const world = await unanswered();
    for (let i = 0; i < 100; i++) {
      await world.clock.advance(4_000);
      world.runner.control?.acknowledged();
    }
    expect(dialled(world)).toEqual(['a']);
    const alone = await unanswered(['a']);
    await alone.clock.advance(3_600_000);
    expect(dialled(alone)).toEqual(['a']);
  });

  test('the session of one that welcomes takes its place', async () => {
    const world = await unanswered();
    await world.clock.advance(5_000);
    world.transport.session.welcome();
    expect(world.session.closedByAgent).toBe(true);
    expect(world.transport.session.closedByAgent).toBe(false);
    world.runner.control?.opened();
    // The old one says no more.
    world.session.drop();
    world.transport.session.welcome();
    expect(world.runner.received).toHaveLength(1);
    await world.clock.advance(4_999);
    expect(dialled(world)).toEqual(['a', 'b']);
  });

  test('servers are asked in turn, also when one of them keeps the hello for long', async () => {
    const world = await unanswered(['a', 'b', 'c']);
    await world.clock.advance(5_000);
    expect(dialled(world)).toEqual(['a', 'b']);
    await world.clock.advance(9_000);
    world.transport.session.drop();
    await world.clock.advance(6_000);
    expect(dialled(world)).toEqual(['a', 'b', 'c']);
  });

  test('nobody is asked while the one that welcomed does not open its session', async () => {
    const world = await unanswered();
    await world.clock.advance(5_000);
    world.transport.session.welcome();
    await world.clock.advance(59_999);
    expect(dialled(world)).toEqual(['a', 'b']);
    await world.clock.advance(1);
    expect(world.transport.sessions.map(({ closedByAgent }) => closedByAgent)).toEqual([true, true, false]);
  });

  test('one that welcomes with tables that are others by now is dialled anew', async () => {
    const world = await unanswered();
    world.runner.answer = 'stale';
    await world.clock.advance(5_000);
    world.transport.session.welcome();
    expect(dialled(world)).toEqual(['a', 'b', 'b']);
    expect(world.transport.sessions.map(({ closedByAgent }) => closedByAgent)).toEqual([true, true, false]);
    expect(world.runner.ended).toBe(1);
  });

  test('one that is nobody to go to, refuses or is silent is left, and asked again', async () => {
    const world = await unanswered();
    world.runner.answer = 'refused';
    await world.clock.advance(5_000);
    world.transport.session.welcome();
    expect(world.transport.session.closedByAgent).toBe(true);
    await world.clock.advance(5_000);
    world.transport.session.drop();
    await world.clock.advance(5_000);
    const third = world.transport.session;
    await world.clock.advance(14_999);
    expect(third.closedByAgent).toBe(false);
    await world.clock.advance(1);
    expect(third.closedByAgent).toBe(true);
    expect(dialled(world)).toEqual(['a', 'b', 'b', 'b', 'b']);
    expect(world.session.closedByAgent).toBe(false);
  });

  test('who is named as leading later is asked next, once, and who is not is not', async () => {
    const world = await unanswered();
    await world.clock.advance(5_000);
    world.transport.session.drop('', { ...LATER, of: { ...LATER.of, storeUid: 'same' } });
    expect(dialled(world)).toEqual(['a', 'b']);
    await world.clock.advance(10_000);
    world.transport.session.drop('', LATER);
    expect(dialled(world)).toEqual(['a', 'b', 'b', 'c']);
    world.transport.session.drop('', { ...LATER, endpoint: 'd' });
    expect(dialled(world)).toEqual(['a', 'b', 'b', 'c']);
  });

  test('an acknowledgement after all ends the asking, and so does the end of the session', async () => {
    const world = await unanswered();
    await world.clock.advance(5_000);
    world.runner.control?.acknowledged();
    expect(world.transport.session.closedByAgent).toBe(true);
    await world.clock.advance(5_000);
    const asked = world.transport.session;
    expect(dialled(world)).toEqual(['a', 'b', 'b']);
    world.session.drop();
    expect(asked.closedByAgent).toBe(true);
    world.supervisor.stop();
    await world.clock.advance(100_000);
    expect(dialled(world)).toEqual(['a', 'b', 'b']);
  });
});

test('all servers are tried before it waits long', async () => {
  const world = start(['a', 'b', 'c']);
  expect(await waits(world, 9)).toEqual([100, 100, 100, 100, 100, 200, 100, 100, 400]);
});

test('a session that the runner closes is closed, ended once and followed by another', async () => {
  const world = start();
  world.runner.control?.close('Delivery of another session');
  expect(world.transport.session.closedByAgent).toBe(true);
  world.transport.session.drop();
  expect(world.runner.ended).toBe(1);
  await world.clock.advance(200);
  expect(world.transport.sessions).toHaveLength(2);
});

test('what an ended session still says is not heard, and cannot end the present one', async () => {
  const world = start();
  const first = world.transport.session;
  const control = world.runner.control;
  first.drop();
  await world.clock.advance(200);
  first.welcome();
  control?.opened();
  control?.close('late');
  first.drop();
  expect(world.runner.received).toEqual([]);
  expect(world.transport.sessions).toHaveLength(2);
  expect(world.transport.session.closedByAgent).toBe(false);
});

test('stop closes the session at once and dials no more', async () => {
  const world = start();
  world.supervisor.stop();
  expect(world.transport.session.closedByAgent).toBe(true);
  expect(world.runner.ended).toBe(1);
  await world.clock.advance(100_000);
  expect(world.transport.sessions).toHaveLength(1);
});

test('stop while waiting dials no more', async () => {
  const world = start();
  world.transport.session.drop();
  world.supervisor.stop();
  await world.clock.advance(100_000);
  expect(world.transport.sessions).toHaveLength(1);
});

test('a server that stays away is told of once', async () => {
  const world = start(['a', 'b']);
  await waits(world, 20);
  expect(world.log.complaints()).toHaveLength(2);
  world.runner.control?.opened();
  await waits(world, 1);
  expect(world.log.complaints()).toHaveLength(3);
});
