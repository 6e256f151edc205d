import { Heartbeat } from '@leasehold/proto/ipam/v1/session';
import { describe, expect, test } from 'vitest';
import { AgentWorld } from '../../test/fakes/agent-world.js';
import { assignmentOf, digestOf, entryOf } from '../../test/fakes/scripted-server.js';
import { createAgent } from './agent.js';
import { StateStore } from './state/state-store.js';

const RED = ['52:54:00:00:00:0a=10.0.0.10', '52:54:00:00:00:0b=10.0.0.11'];
const RED_1 = { networkId: 'red', placementEpoch: 1n };
const S = 60_000;

function makeWorld(servers: readonly string[] = ['a']): AgentWorld {
  return new AgentWorld(({ clock, entropy, log, files, server, wire, backend, readLink, bootId }) =>
    createAgent(
      {
        ...{ clock, entropy, log, backend, readLink, transport: server, frameSockets: wire },
        state: new StateStore({ files, entropy, log }),
      },
      { hostId: 'h1', servers, failureDomain: 'rack-1', agentVersion: '0.1.0', bootId },
    ),
  );
}

/** A heartbeat is sent and acknowledged for `red`, over and over. */
async function heartbeats(world: AgentWorld, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await world.clock.advance(1_000);
    world.session.acknowledge([RED_1]);
  }
}

describe('a session that takes the place of one in which nothing was acknowledged', () => {
  const ASKED_AFTER = 6_000;

  /** Serves `red`, and has just asked another server. */
  async function asked() {
    const world = makeWorld(['a', 'b']);
    await world.serveRed();
    const { session } = world;
    await world.clock.advance(ASKED_AFTER);
    expect(world.server.sessions.map(({ server }) => server)).toEqual(['a', 'b']);
    return { world, old: session };
  }

  test('confirms the table that its hello told of, and its acknowledgements count from the hello', async () => {
    const { world, old } = await asked();
    const { tables } = world.session.hello[0] ?? { tables: [] };
    expect(tables).toMatchObject([{ networkId: 'red', placementEpoch: 1n, sequence: 0n, serving: true }]);
    const greeted = world.clock.now();
    await world.clock.advance(3_000);
    await world.welcome({ holderEpoch: 2n });
    expect(old.closedByAgent).toBe(true);
    world.session.deliver('red', 1n, { $case: 'assignment', value: assignmentOf('u1') });
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(0);
    expect(world.session.acks).toMatchObject([{ networkId: 'red', sequence: 2n }]);
    // Asked half a second before at the most.
    await world.clock.advance(greeted - 1_000 + S - world.clock.now());
    expect(world.backend.answers('red')).toEqual(RED);
    await world.clock.advance(1_000);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('begins with another hello when the table changed since', async () => {
    const { world, old } = await asked();
    old.deliver('red', 1n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    await world.clock.advance(100);
    await world.welcome({ holderEpoch: 2n });
    expect(world.server.sessions.map(({ server }) => server)).toEqual(['a', 'b', 'b']);
    expect(old.closedByAgent).toBe(true);
    expect(world.server.sessions[1]?.closedByAgent).toBe(true);
    expect(world.session.hello[0]?.tables).toMatchObject([{ networkId: 'red', entries: 3n }]);
    expect(world.session.hello[0]?.highestEpoch).toEqual({ holderEpoch: 1n, counter: 1n });
  });

  test.each([
    ['another store', { storeUid: 'store-2', holderEpoch: 2n }],
    ['an older holder', { holderEpoch: 0n }],
  ])('is not one of %s', async (_, terms) => {
    const { world, old } = await asked();
    await world.welcome(terms);
    expect(world.session.closedByAgent).toBe(true);
    expect(old.closedByAgent).toBe(false);
    old.acknowledge([RED_1]);
    expect(world.backend.answers('red')).toEqual(RED);
  });
});

describe('authority', () => {
  test('a confirmed table is answered from until S after the send of the last acknowledged heartbeat', async () => {
    const world = makeWorld();
    await world.serveRed();
    await heartbeats(world, 5_000);
    const { clock } = world;
    const sent = clock.now();
    // The heartbeat of now is acknowledged only 900 ms later: S counts from its send all the same.
    await clock.advance(900);
    world.session.acknowledge([RED_1]);
    world.session.drop();
    await clock.advance(sent + S - 1 - clock.now());
    expect(world.backend.answers('red')).toEqual(RED);
    await clock.advance(1);
    expect(world.backend.answers('red')).toEqual([]);
    await clock.advance(1_000);
    const line = world.log.lines.find(({ message }) => message === 'Not answering DHCP');
    expect(line?.fields).toEqual({ network: 'red', reason: 'Authority lapsed: the control plane is away' });
  });

  test('the welcome acknowledges the hello: authority runs from the send of the hello', async () => {
    const world = makeWorld();
    await world.start();
    const sent = world.clock.now();
    await world.clock.advance(3_000);
    await world.welcome();
    await world.deliverRed();
    world.session.drop();
    await world.clock.advance(sent + S - 1 - world.clock.now());
    expect(world.backend.answers('red')).toEqual(RED);
    await world.clock.advance(1);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('an open session without acknowledgements prolongs nothing', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.clock.advance(S - 1);
    expect(world.session.heartbeats.length).toBeGreaterThan(50);
    expect(world.backend.answers('red')).toEqual(RED);
    await world.clock.advance(1);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('an acknowledgement prolongs only the placements it lists, by network and epoch', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.deliverTable('blue', 7n, assignmentOf('u2'), [entryOf(20)]);
    for (let i = 0; i < 60; i++) {
      await world.clock.advance(1_000);
      world.session.acknowledge([RED_1, { networkId: 'blue', placementEpoch: 6n }]);
    }
    expect(world.backend.answers('red')).toEqual(RED);
    expect(world.backend.answers('blue')).toEqual([]);
  });

  test('an acknowledgement prolongs running authority before the table is confirmed, but not lapsed authority', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.clock.advance(S - 30_000);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    // Running: prolonged to S from the heartbeat, though nothing was confirmed in this session.
    await world.clock.advance(1_000);
    world.session.acknowledge([RED_1]);
    await world.clock.advance(S - 1_000);
    expect(world.backend.answers('red')).toEqual(RED);
    // Lapsed: no acknowledgement brings it back.
    await world.clock.advance(2_000);
    expect(world.backend.answers('red')).toEqual([]);
    world.session.acknowledge([RED_1]);
    await heartbeats(world, 3_000);
    expect(world.backend.answers('red')).toEqual([]);
    // A confirmation does, back to the last acknowledged heartbeat.
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('a welcome alone prolongs nothing: it lists no placement', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.clock.advance(S - 1_000);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    await world.clock.advance(1_000);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('time that passed in suspend counts', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.clock.jump(S);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('when the installation lowers S, the shorter one holds from the next acknowledgement', async () => {
    const world = makeWorld();
    await world.serveRed({ authorityMs: 3_600_000 });
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    await world.clock.advance(1_000);
    const sent = world.clock.now();
    world.session.acknowledge([RED_1]);
    await world.clock.advance(600);
    // On the disk too, at once: a restart must not bring back the longer one.
    await world.crash();
    await world.clock.advance(sent + S - world.clock.now());
    expect(world.backend.answers('red')).toEqual([]);
  });
});

describe('heartbeats', () => {
  test.each([
    [0, 900],
    [0.5, 1_000],
    [1, 1_100],
  ])('come up to a tenth of the interval earlier or later (chance %s: %s ms)', async (chance, ms) => {
    const world = makeWorld();
    world.entropy.value = chance;
    await world.serveRed();
    await world.clock.advance(ms - 1);
    expect(world.session.heartbeats).toHaveLength(0);
    await world.clock.advance(2);
    expect(world.session.heartbeats).toHaveLength(1);
    await world.clock.advance(ms);
    expect(world.session.heartbeats.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  });

  test('tell every table, and go on while the disk does not answer', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.hold = new Promise(() => undefined);
    world.session.deliverTable('blue', 7n, assignmentOf('u2'), [entryOf(20)]);
    await world.clock.advance(5_000);
    expect(world.session.heartbeats).toHaveLength(5);
    expect(world.session.heartbeats.at(-1)?.tables).toMatchObject([
      { networkId: 'red', sequence: 4n },
      { networkId: 'blue', sequence: 0n, placementEpoch: 7n },
    ]);
  });
});

describe('heartbeats of a host with more networks than fit into a message', () => {
  const longId = (i: number) => `${i}`.padEnd(63, 'x');

  async function serveMany(count: number): Promise<AgentWorld> {
    const world = makeWorld();
    world.networks = new Map(Array.from({ length: count }, (_, i) => [longId(i), 'br-red']));
    await world.start();
    await world.welcome();
    for (let i = 0; i < count; i++) {
      const uid = `${i}`.padEnd(36, 'u');
      world.session.deliverTable(longId(i), 2n ** 40n, assignmentOf(uid), [entryOf(10)]);
    }
    await world.clock.advance(0);
    for (const server of world.backend.servers) server.fail('x'.repeat(500));
    return world;
  }

  test('stay below 256 KiB, and tell of every table in turn', async () => {
    const world = await serveMany(2_100);
    await world.clock.advance(3_000);
    const { heartbeats } = world.session;
    expect(heartbeats).toHaveLength(3);
    const sizes = heartbeats.map((heartbeat) => Heartbeat.encode(heartbeat).finish().length);
    expect(Math.max(...sizes)).toBeLessThan(256 * 1024);
    expect(heartbeats[0]?.tables[0]?.reason).toBe('x'.repeat(128));
    const told = heartbeats.flatMap(({ tables }) => tables.map(({ networkId }) => networkId));
    expect(new Set(told).size).toBe(2_100);
    expect(told.slice(2_100)).toEqual(Array.from({ length: 300 }, (_, i) => longId(i)));
  });
});

describe('standing', () => {
  const standing = (world: AgentWorld) => world.backend.server('red')?.gate.standing();

  test('without an acknowledgement for three intervals the server is behind, with the next it is not', async () => {
    const world = makeWorld();
    await world.serveRed();
    await heartbeats(world, 2_000);
    await world.clock.advance(3_000);
    expect(standing(world)).toBe('synchronised');
    await world.clock.advance(1);
    expect(standing(world)).toBe('behind');
    world.session.acknowledge([RED_1]);
    expect(standing(world)).toBe('synchronised');
  });

  test('after a long silence it is behind until its table is confirmed, whatever is acknowledged', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.drop();
    await world.clock.advance(10_000);
    await world.welcome({ counter: 2n });
    await heartbeats(world, 2_000);
    expect(standing(world)).toBe('behind');
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    expect(standing(world)).toBe('synchronised');
  });
});

describe('restart', () => {
  test('tables are served before any server is reachable', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.crash();
    expect(world.backend.answers('red')).toEqual(RED);
    expect(world.session.received.every(({ message }) => message?.$case === 'hello')).toBe(true);
  });

  test('removals that were acknowledged stay removed', async () => {
    const world = makeWorld();
    await world.serveRed();
    const remove = [{ address: '10.0.0.10', reservationId: 'r10' }];
    const sequence = world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [], remove } });
    await world.clock.advance(0);
    expect(world.session.acks.at(-1)?.sequence).toBe(sequence);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([RED[1]]);
  });

  test('authority on the disk is never later than the true one, and loses at most a twentieth of S', async () => {
    const world = makeWorld();
    await world.serveRed();
    await heartbeats(world, 20_000);
    const until = world.clock.now() + S;
    await world.crash();
    await world.clock.advance(until - S / 20 - 1_000 - world.clock.now());
    expect(world.backend.answers('red')).toEqual(RED);
    await world.clock.advance(until - world.clock.now());
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('after a reboot nobody is answered until the table is confirmed', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.bootId = 'boot-2';
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
    expect(world.session.hello[0]?.tables[0]?.digest).toEqual(digestOf(assignmentOf('u1'), [entryOf(10), entryOf(11)]));
    await world.welcome({ counter: 2n });
    await heartbeats(world, 2_000);
    expect(world.backend.answers('red')).toEqual([]);
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('the hello tells who the agent is, what it has and what it saw', async () => {
    const world = makeWorld();
    await world.serveRed({ holderEpoch: 4n, counter: 9n });
    await world.crash();
    expect(world.session.hello).toMatchObject([
      {
        hostId: 'h1',
        bootId: 'boot-1',
        highestEpoch: { holderEpoch: 4n, counter: 9n },
        storeUid: 'store-1',
        incarnation: 1n,
        agentVersion: '0.1.0',
        backend: 'fake',
        failureDomain: 'rack-1',
        attachments: [
          { networkId: 'red', interface: 'br-red', ready: true, reason: '', foreignDhcpServers: [] },
          { networkId: 'blue', interface: 'br-blue', ready: true, reason: '', foreignDhcpServers: [] },
        ],
        tables: [{ networkId: 'red', networkUid: 'u1', placementEpoch: 1n, sequence: 0n, entries: 2n, serving: true }],
        last: true,
      },
    ]);
  });

  test('a stop leaves tables and authority for the next start', async () => {
    const world = makeWorld();
    await world.serveRed();
    await heartbeats(world, 2_000);
    const server = world.backend.server('red');
    await world.agent.stop();
    expect(server?.isClosed).toBe(true);
    expect(world.session.closedByAgent).toBe(true);
    await world.crash();
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('a stopped agent dials no more', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.agent.stop();
    await world.clock.advance(60_000);
    expect(world.server.sessions).toHaveLength(1);
    expect(world.clock.nextDue()).toBeUndefined();
  });

  test('a stop waits for what is being written: cut, it would make the next start silent', async () => {
    const world = makeWorld();
    await world.serveRed();
    let release = () => {};
    world.files.affected = /journal$/;
    world.files.hold = new Promise((resolve) => {
      release = resolve;
    });
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    await world.clock.advance(10);
    let stopped = false;
    const stopping = world.agent.stop().then(() => {
      stopped = true;
    });
    await world.clock.advance(1_000);
    expect(world.backend.answers('red')).toEqual([]);
    expect(stopped).toBe(false);
    release();
    await stopping;
    await world.crash();
    expect(world.backend.answers('red')).toHaveLength(3);
  });

  test('a disk that fails while the agent stops is not tried again', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.affected = /journal$/;
    world.files.failure = 'ENOSPC';
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    await world.agent.stop();
    await world.clock.advance(0);
    expect(world.clock.nextDue()).toBeUndefined();
  });

  test('an agent stopped while it starts serves nobody and dials nobody', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.agent.stop();
    const starting = world.crash();
    await world.agent.stop();
    await starting;
    await world.clock.advance(5_000);
    expect(world.backend.servers).toEqual([]);
    expect(world.server.sessions).toHaveLength(1);
    expect(world.clock.nextDue()).toBeUndefined();
  });

  test('a journal that ends in a torn record keeps the table, silent until it is confirmed', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    await world.clock.advance(0);
    const journal = world.files.only('.journal');
    world.files.files.set(journal, (world.files.files.get(journal) as Buffer).subarray(0, -3));
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
    await world.welcome({ counter: 2n });
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    expect(world.backend.answers('red')).toEqual(RED);
    // Nothing was appended to the torn record: what is delivered now survives.
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [entryOf(13)], remove: [] } });
    await world.clock.advance(0);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([...RED, '52:54:00:00:00:0d=10.0.0.13']);
  });
});

describe('authority is not on the disk before the table it was given for', () => {
  const TABLES = /\.(table|journal)$/;

  /** Authority lapsed; meanwhile 10.0.0.10 left the table, and the disk does not take the new one. */
  async function lapseAndFillDisk(): Promise<AgentWorld> {
    const world = makeWorld();
    await world.serveRed();
    world.session.drop();
    await world.clock.advance(2 * S);
    world.session.drop();
    await world.clock.advance(6_000);
    world.files.affected = TABLES;
    world.files.failure = 'ENOSPC';
    await world.welcome({ counter: 2n });
    world.session.deliverTable('red', 1n, assignmentOf('u1'), [entryOf(11)]);
    await world.clock.advance(2_000);
    expect(world.backend.answers('red')).toEqual([RED[1]]);
    return world;
  }

  test('an agent killed while the disk was full does not answer from the table of before', async () => {
    const world = await lapseAndFillDisk();
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('nor does one that was stopped', async () => {
    const world = await lapseAndFillDisk();
    await world.agent.stop();
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('nor one killed in a later session that confirmed nothing', async () => {
    const world = await lapseAndFillDisk();
    world.session.drop();
    await world.clock.advance(1_000);
    await world.welcome({ counter: 3n });
    await heartbeats(world, 20_000);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('once the disk took the table, authority is there at once', async () => {
    const world = await lapseAndFillDisk();
    world.files.failure = undefined;
    await world.clock.advance(5_000);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([RED[1]]);
  });

  test('also when it took it in a later session', async () => {
    const world = await lapseAndFillDisk();
    world.session.drop();
    await world.clock.advance(1_000);
    await world.welcome({ counter: 3n });
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    world.files.failure = undefined;
    await world.clock.advance(5_000);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([RED[1]]);
  });

  test('a removal that a reboot took from the disk is not answered after a kill while the table is written', async () => {
    const world = makeWorld();
    await world.serveRed();
    const remove = [{ address: '10.0.0.10', reservationId: 'r10' }];
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [], remove } });
    await world.clock.advance(0);
    world.files.loseCache();
    world.bootId = 'boot-2';
    await world.crash();
    world.files.affected = TABLES;
    world.files.hold = new Promise(() => undefined);
    await world.welcome({ counter: 2n });
    world.session.deliverTable('red', 1n, assignmentOf('u1'), [entryOf(11)]);
    await world.clock.advance(100);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('an acknowledgement that brings lapsed authority back waits for a removal that the disk does not have', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.affected = TABLES;
    world.files.failure = 'ENOSPC';
    const remove = [{ address: '10.0.0.10', reservationId: 'r10' }];
    world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put: [], remove } });
    await world.clock.advance(2 * S);
    expect(world.backend.answers('red')).toEqual([]);
    world.session.acknowledge([RED_1]);
    await world.clock.advance(1_000);
    expect(world.backend.answers('red')).toEqual([RED[1]]);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });
});

describe('stores and epochs', () => {
  test('the epoch of a session is on the disk before anything of it is acted upon', async () => {
    const world = makeWorld();
    await world.start();
    let release = () => {};
    world.files.hold = new Promise((resolve) => {
      release = resolve;
    });
    world.session.welcome({ holderEpoch: 3n });
    world.session.deliverTable('red', 1n, assignmentOf('u1'), [entryOf(10)]);
    await world.clock.advance(5_000);
    expect(world.backend.servers).toEqual([]);
    expect(world.session.received.filter(({ message }) => message?.$case !== 'hello')).toEqual([]);
    release();
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([RED[0]]);
    expect(world.session.acks.map(({ sequence }) => sequence)).toEqual([4n]);
  });

  test('a session of a lower epoch is refused, also after a restart, and says why', async () => {
    const world = makeWorld();
    await world.serveRed({ holderEpoch: 5n, counter: 2n });
    await world.crash();
    world.session.welcome({ holderEpoch: 5n, counter: 1n });
    await world.clock.advance(0);
    expect(world.session.closedByAgent).toBe(true);
    expect(world.log.lines.map(({ fields }) => fields['reason'])).toContain(
      'Server began session 5/1, 5/2 was seen: it lost the lead, or its store is an old copy',
    );
  });

  test('a session whose epoch could not be written is ended, and a lower one is refused all the same', async () => {
    const world = makeWorld();
    await world.start();
    world.files.failure = 'ENOSPC';
    await world.welcome({ holderEpoch: 5n });
    expect(world.session.closedByAgent).toBe(true);
    expect(world.log.lines.map(({ fields }) => fields['reason'])).toContain(
      'State directory cannot be written: ENOSPC',
    );
    world.files.failure = undefined;
    await world.clock.advance(100);
    await world.welcome({ holderEpoch: 4n });
    expect(world.session.closedByAgent).toBe(true);
  });

  test.each([
    ['another store', { storeUid: 'store-2' }],
    ['a newer incarnation', { incarnation: 2n }],
  ])('nobody is answered from the tables of %s', async (_, terms) => {
    const world = makeWorld();
    await world.serveRed({ holderEpoch: 5n });
    world.session.drop();
    await world.clock.advance(100);
    // Silent at once, before the disk knows.
    world.files.hold = new Promise(() => undefined);
    world.session.welcome({ holderEpoch: 1n, ...terms });
    expect(world.backend.answers('red')).toEqual([]);
    expect(world.log.complaints()).toContain('Dropping all tables, the control plane will send its own');
    world.files.hold = undefined;
  });

  test('after a change of the store its own tables are served, and the old ones are gone from the disk', async () => {
    const world = makeWorld();
    await world.serveRed({ holderEpoch: 5n });
    world.session.deliverTable('blue', 9n, assignmentOf('u2'), [entryOf(20)]);
    await world.clock.advance(0);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ storeUid: 'store-2' });
    await world.deliverRed();
    expect(world.backend.answers('red')).toEqual(RED);
    await world.crash();
    expect(world.session.hello[0]).toMatchObject({
      storeUid: 'store-2',
      highestEpoch: { holderEpoch: 1n, counter: 1n },
    });
    expect(world.session.hello[0]?.tables.map(({ networkId }) => networkId)).toEqual(['red']);
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('a table of another store is not restored, should its files have stayed', async () => {
    const world = makeWorld();
    await world.serveRed();
    const table = world.files.only('.table');
    const bytes = world.files.files.get(table) as Buffer;
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ storeUid: 'store-2' });
    world.files.files.set(table, bytes);
    await world.crash();
    expect(world.session.hello[0]?.tables).toEqual([]);
    expect(world.backend.answers('red')).toEqual([]);
    expect(world.files.files.has(table)).toBe(false);
  });

  test.each([
    ['missing', (world: AgentWorld) => world.files.files.delete('agent.json')],
    ['damaged', (world: AgentWorld) => world.files.files.set('agent.json', Buffer.from('x'))],
  ])('when the record of the agent is %s its tables are dropped, and the log says why', async (_, spoil) => {
    const world = makeWorld();
    await world.serveRed();
    spoil(world);
    await world.crash();
    expect(world.session.hello[0]?.tables).toEqual([]);
    expect(world.log.complaints()).toContain(
      'Table on disk cannot be used: the record of its agent is missing or damaged, dropping it',
    );
  });

  test('a table that was saved of a network is followed by deltas into a journal that is folded in when it outgrows it', async () => {
    const world = makeWorld();
    await world.serveRed();
    const before = world.files.files.get(world.files.only('.table'));
    for (let i = 0; i < 900; i++) {
      const put = [entryOf(12, `tenure-${i}`)];
      world.session.deliver('red', 1n, { $case: 'tableDelta', value: { put, remove: [] } });
      await world.clock.advance(0);
    }
    expect(world.files.files.get(world.files.only('.table'))).not.toEqual(before);
    const journal = [...world.files.files].find(([name]) => name.endsWith('.journal'))?.[1].length ?? 0;
    expect(journal).toBeLessThan(65 * 1_024);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([...RED, '52:54:00:00:00:0c=10.0.0.12']);
    const entries = [entryOf(10), entryOf(11), entryOf(12, 'tenure-899')];
    expect(world.session.hello[0]?.tables[0]?.digest).toEqual(digestOf(assignmentOf('u1'), entries));
  });
});
