import type { Ipv4 } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { AgentWorld } from '../../test/fakes/agent-world.js';
import { assignmentOf, digestOf, entryOf } from '../../test/fakes/scripted-server.js';
import { createAgent } from './agent.js';
import type { Link } from './backends/dhcp-backend.js';
import { StateStore } from './state/state-store.js';

const RED = ['52:54:00:00:00:0a=10.0.0.10', '52:54:00:00:00:0b=10.0.0.11'];

function makeWorld(): AgentWorld {
  return new AgentWorld(({ clock, entropy, log, files, server, wire, backend, readLink, bootId }) =>
    createAgent(
      {
        ...{ clock, entropy, log, backend, readLink, transport: server, frameSockets: wire },
        state: new StateStore({ files, entropy, log }),
      },
      { hostId: 'h1', servers: ['a'], failureDomain: '', agentVersion: '0.1.0', bootId },
    ),
  );
}

function put(world: AgentWorld, ...numbers: number[]): bigint {
  const value = { put: numbers.map((n) => entryOf(n)), remove: [] };
  return world.session.deliver('red', 1n, { $case: 'tableDelta', value });
}

function unassign(world: AgentWorld, placementEpoch = 1n): bigint {
  return world.session.deliver('red', placementEpoch, { $case: 'unassignment', value: {} });
}

/** Files do not change until the result is called. */
function holdDisk(world: AgentWorld): () => void {
  let release = () => {};
  world.files.hold = new Promise((resolve) => {
    release = () => {
      world.files.hold = undefined;
      resolve();
    };
  });
  return release;
}

const sequences = (world: AgentWorld) => world.session.acks.map(({ sequence }) => sequence);

describe('acknowledgements', () => {
  test('a snapshot is acknowledged at its end, with the state of the table', async () => {
    const world = makeWorld();
    await world.serveRed();
    const digest = digestOf(assignmentOf('u1'), [entryOf(10), entryOf(11)]);
    expect(world.session.acks).toEqual([
      {
        networkId: 'red',
        networkUid: 'u1',
        placementEpoch: 1n,
        sequence: 4n,
        digest,
        entries: 2n,
        serving: true,
        reason: '',
      },
    ]);
  });

  test('nothing is acknowledged before the disk has it', async () => {
    const world = makeWorld();
    await world.serveRed();
    const release = holdDisk(world);
    const sequence = put(world, 12);
    await world.clock.advance(5_000);
    // The table answers so already; what is reported is of the moment on the disk, in sequence and digest alike.
    expect(world.backend.answers('red')).toHaveLength(3);
    expect(sequences(world)).toEqual([4n]);
    const before = digestOf(assignmentOf('u1'), [entryOf(10), entryOf(11)]);
    expect(world.session.heartbeats.at(-1)?.tables[0]).toMatchObject({ sequence: 4n, digest: before, entries: 2n });
    release();
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([4n, sequence]);
  });

  test('what is delivered in one turn is acknowledged once', async () => {
    const world = makeWorld();
    await world.serveRed();
    put(world, 12);
    put(world, 13);
    const last = put(world, 14);
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([4n, last]);
  });

  test('what is delivered while the disk is slow is acknowledged once', async () => {
    const world = makeWorld();
    await world.serveRed();
    const release = holdDisk(world);
    const first = put(world, 12);
    await world.clock.advance(10);
    put(world, 13);
    const last = put(world, 14);
    await world.clock.advance(10);
    release();
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([4n, first, last]);
    await world.crash();
    expect(world.backend.answers('red')).toHaveLength(5);
  });

  test('a network without an interface is kept and not acknowledged, until the interface comes', async () => {
    const world = makeWorld();
    world.links.delete('br-red');
    await world.serveRed();
    await world.clock.advance(1_000);
    expect(world.session.acks).toEqual([]);
    const reason = 'There is no interface br-red';
    expect(world.session.heartbeats.at(-1)?.tables).toMatchObject([{ networkId: 'red', serving: false, reason }]);
    world.links.set('br-red', 9);
    await world.clock.advance(500);
    expect(world.session.acks).toMatchObject([{ sequence: 4n, serving: true }]);
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('a network that is on no interface of the host says so', async () => {
    const world = makeWorld();
    world.networks = new Map();
    await world.serveRed();
    await world.clock.advance(1_000);
    const reason = 'The host has no interface for this network';
    expect(world.session.heartbeats.at(-1)?.tables).toMatchObject([{ networkId: 'red', serving: false, reason }]);
  });

  test('a closed socket is no acknowledgement; it is sent when the socket is open again', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.backend.server('red')?.fail('EADDRINUSE');
    const sequence = put(world, 12);
    await world.clock.advance(1_000);
    expect(sequences(world)).toEqual([4n]);
    expect(world.session.heartbeats.at(-1)?.tables[0]).toMatchObject({ serving: false, reason: 'EADDRINUSE' });
    world.backend.server('red')?.fail(undefined);
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([4n, sequence]);
  });

  test('work of an ended session is not acknowledged in the next', async () => {
    const world = makeWorld();
    await world.serveRed();
    const release = holdDisk(world);
    put(world, 12);
    await world.clock.advance(10);
    world.session.drop();
    await world.clock.advance(100);
    expect(world.server.sessions).toHaveLength(2);
    release();
    await world.welcome({ counter: 2n });
    expect(world.session.acks).toEqual([]);
    const entries = [entryOf(10), entryOf(11), entryOf(12)];
    expect(world.session.hello[0]?.tables[0]?.digest).toEqual(digestOf(assignmentOf('u1'), entries));
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([1n]);
  });

  test('a write that began in an ended session acknowledges nothing in the next', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.affected = /journal$/;
    const release = holdDisk(world);
    put(world, 12);
    await world.clock.advance(10);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    world.session.deliver('red', 1n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(10);
    release();
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([1n]);
  });

  test('a disk that fails withholds acknowledgements and nothing else, and is tried again', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.failure = 'ENOSPC: no space left on device';
    const sequence = put(world, 12);
    await world.clock.advance(4_000);
    expect(sequences(world)).toEqual([4n]);
    expect(world.backend.answers('red')).toHaveLength(3);
    expect(world.session.heartbeats.length).toBeGreaterThan(2);
    expect(world.log.complaints()).toEqual([
      'Table could not be written to the state directory: acknowledging nothing',
    ]);
    world.files.failure = undefined;
    await world.clock.advance(1_000);
    expect(sequences(world)).toEqual([4n, sequence]);
    await world.crash();
    expect(world.backend.answers('red')).toHaveLength(3);
  });
});

describe('leaving', () => {
  test('an unassigned network is silent at once, and acknowledged when its server and its files are gone', async () => {
    const world = makeWorld();
    await world.serveRed();
    let close = () => {};
    world.backend.closing = new Promise((resolve) => {
      close = resolve;
    });
    const sequence = unassign(world);
    expect(world.backend.answers('red')).toEqual([]);
    await world.clock.advance(1_000);
    expect(sequences(world)).toEqual([4n]);
    expect(world.session.heartbeats.at(-1)?.tables).toMatchObject([
      { networkId: 'red', serving: false, digest: Buffer.alloc(0) },
    ]);
    const release = holdDisk(world);
    close();
    await world.clock.advance(1_000);
    expect(sequences(world)).toEqual([4n]);
    release();
    await world.clock.advance(1_000);
    expect(world.session.acks.at(-1)).toMatchObject({
      sequence,
      placementEpoch: 1n,
      serving: false,
      entries: 0n,
      digest: Buffer.alloc(0),
    });
    expect(world.session.heartbeats.at(-1)?.tables).toEqual([]);
    await world.crash();
    expect(world.session.hello[0]?.tables).toEqual([]);
  });

  test('an unassignment is acknowledged without an interface, and of a network that was never assigned', async () => {
    const world = makeWorld();
    world.links.delete('br-red');
    await world.serveRed();
    const first = unassign(world);
    await world.clock.advance(0);
    const second = world.session.deliver('never', 3n, { $case: 'unassignment', value: {} });
    expect(world.session.acks).toMatchObject([
      { networkId: 'red', sequence: first },
      { networkId: 'never', sequence: second, placementEpoch: 3n },
    ]);
  });

  test('a removal that the disk refuses is not acknowledged, stays in every report, and is tried again', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.files.failure = 'EIO';
    world.files.affected = /table$/;
    unassign(world);
    await world.clock.advance(1_000);
    world.session.drop();
    await world.clock.advance(100);
    expect(world.session.hello[0]?.tables).toMatchObject([{ networkId: 'red', serving: false }]);
    await world.welcome({ counter: 2n });
    const sequence = unassign(world);
    await world.clock.advance(0);
    expect(world.session.acks).toEqual([]);
    world.files.failure = undefined;
    await world.clock.advance(5_000);
    expect(sequences(world)).toEqual([sequence]);
  });

  test('an unassignment of an ended session is not acknowledged in the next', async () => {
    const world = makeWorld();
    await world.serveRed();
    let close = () => {};
    world.backend.closing = new Promise((resolve) => {
      close = resolve;
    });
    unassign(world);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    close();
    await world.clock.advance(0);
    expect(world.session.acks).toEqual([]);
  });

  test('a network that returns before its old server closed gets a new one after it, and its files stay', async () => {
    const world = makeWorld();
    await world.serveRed();
    let close = () => {};
    world.backend.closing = new Promise((resolve) => {
      close = resolve;
    });
    unassign(world);
    await world.deliverRed(2n);
    await world.clock.advance(1_000);
    expect(world.backend.servers).toHaveLength(1);
    close();
    await world.clock.advance(0);
    expect(world.backend.servers).toHaveLength(2);
    expect(world.backend.answers('red')).toEqual(RED);
    expect(world.session.acks.at(-1)).toMatchObject({ sequence: 9n, placementEpoch: 2n, serving: true });
    await world.crash();
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('a network that was made again under its id begins without the old table', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.deliver('red', 2n, { $case: 'assignment', value: assignmentOf('u9') });
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([]);
    world.session.deliver('red', 2n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([]);
    await world.crash();
    expect(world.backend.answers('red')).toEqual([]);
  });
});

describe('placement epochs', () => {
  test('a delivery of a lower placement epoch changes nothing and is not acknowledged', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    const before = world.session.acks.length;
    world.session.deliver('red', 4n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    unassign(world, 4n);
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual(RED);
    expect(world.session.acks).toHaveLength(before);
    // The chain is not broken: the placement it has goes on.
    world.session.deliver('red', 5n, { $case: 'tableDelta', value: { put: [entryOf(12)], remove: [] } });
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toHaveLength(3);
  });

  test('also after the network left', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    unassign(world, 5n);
    await world.clock.advance(0);
    const before = world.session.acks.length;
    await world.deliverRed(4n);
    expect(world.backend.answers('red')).toEqual([]);
    expect(world.session.acks).toHaveLength(before);
  });

  test('also after a restart', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    // The epoch is raised by deltas of a table that is confirmed.
    world.session.deliver('red', 6n, { $case: 'tableDelta', value: { put: [], remove: [] } });
    await world.clock.advance(0);
    await world.crash();
    await world.welcome({ counter: 2n });
    world.session.deliver('red', 5n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(0);
    expect(world.session.acks).toEqual([]);
  });

  test('a network that was made again under its id counts its own, after the old one left', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    unassign(world, 5n);
    await world.clock.advance(0);
    const sequence = world.session.deliverTable('red', 1n, assignmentOf('u9'), [entryOf(10)]);
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([RED[0]]);
    expect(world.session.acks.at(-1)).toMatchObject({ sequence, networkUid: 'u9', placementEpoch: 1n });
    // From now on its own epochs count.
    unassign(world, 2n);
    world.session.deliverTable('red', 1n, assignmentOf('u9'), [entryOf(10)]);
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('and while the old one is still served', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    world.session.deliverTable('red', 1n, assignmentOf('u9'), [entryOf(10)]);
    await world.clock.advance(0);
    expect(world.backend.answers('red')).toEqual([RED[0]]);
    const sequence = unassign(world, 1n);
    await world.clock.advance(0);
    expect(world.session.acks.at(-1)).toMatchObject({ sequence, networkUid: 'u9', placementEpoch: 1n });
  });

  test('its unassignment is acknowledged by an agent that has only seen the old one', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    unassign(world, 5n);
    await world.clock.advance(0);
    const sequence = unassign(world, 1n);
    expect(world.session.acks.at(-1)).toMatchObject({ sequence, placementEpoch: 1n });
  });

  test('another store counts its own', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    await world.deliverRed(5n);
    unassign(world, 5n);
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ storeUid: 'store-2' });
    await world.deliverRed(1n);
    expect(world.backend.answers('red')).toEqual(RED);
  });

  test('authority on the disk is of the placement it was written for', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    world.files.affected = /agent.json/;
    world.files.failure = 'EIO';
    world.session.deliver('red', 2n, { $case: 'assignment', value: assignmentOf('u1') });
    world.session.deliver('red', 2n, { $case: 'tableConfirmation', value: {} });
    await world.clock.advance(0);
    await world.crash();
    expect(world.session.hello[0]?.tables).toMatchObject([{ placementEpoch: 2n, serving: false }]);
    expect(world.backend.answers('red')).toEqual([]);
  });

  test('a placement that is assigned anew to a table that is not confirmed begins without authority', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.drop();
    await world.clock.advance(100);
    await world.welcome({ counter: 2n });
    expect(world.backend.answers('red')).toEqual(RED);
    world.session.deliver('red', 2n, { $case: 'assignment', value: assignmentOf('u1') });
    expect(world.backend.answers('red')).toEqual([]);
    world.session.deliver('red', 2n, { $case: 'tableConfirmation', value: {} });
    expect(world.backend.answers('red')).toEqual(RED);
    // The new epoch is on the disk before it is acknowledged.
    await world.clock.advance(0);
    expect(sequences(world)).toEqual([2n]);
    await world.crash();
    expect(world.session.hello[0]?.tables).toMatchObject([{ placementEpoch: 2n }]);
    expect(world.backend.answers('red')).toEqual(RED);
  });
});

describe('refused deliveries', () => {
  test('a snapshot with another digest changes nothing; what follows is refused until one is right', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.session.deliver('red', 1n, { $case: 'snapshotBegin', value: { entries: 1n } });
    world.session.deliver('red', 1n, { $case: 'snapshotPart', value: { entries: [entryOf(99)] } });
    world.session.deliver('red', 1n, { $case: 'snapshotEnd', value: { digest: Buffer.alloc(32) } });
    put(world, 12);
    await world.clock.advance(1_000);
    expect(world.backend.answers('red')).toEqual(RED);
    expect(sequences(world)).toEqual([4n]);
    expect(world.session.heartbeats.at(-1)?.tables[0]).toMatchObject({ digest: Buffer.alloc(0), sequence: 8n });
    const sequence = await world.deliverRed();
    expect(sequences(world)).toEqual([4n, sequence]);
  });

  test('a delivery for a network that is not assigned is refused, and the session goes on', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    put(world, 12);
    await world.deliverRed();
    expect(world.session.closedByAgent).toBe(false);
    expect(world.backend.answers('red')).toEqual(RED);
  });
});

describe('interfaces', () => {
  test('what changed of the attachments is told once', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.links.delete('br-red');
    await world.clock.advance(2_000);
    const reason = 'There is no interface br-red';
    expect(world.session.attachmentChanges).toMatchObject([
      { attachments: [{ networkId: 'red', interface: 'br-red', ready: false, reason }], detachedNetworkIds: [] },
    ]);
    world.agent.setNetworks(new Map([['red', 'br-red']]));
    await world.clock.advance(500);
    expect(world.session.attachmentChanges.at(-1)).toMatchObject({ attachments: [], detachedNetworkIds: ['blue'] });
  });

  test('what changed between hello and welcome is told with the welcome', async () => {
    const world = makeWorld();
    await world.start();
    world.links.delete('br-red');
    await world.clock.advance(1_000);
    expect(world.session.attachmentChanges).toEqual([]);
    await world.welcome();
    expect(world.session.attachmentChanges).toMatchObject([{ attachments: [{ networkId: 'red', ready: false }] }]);
  });

  test('an interface that was made again has another index, and is attached again', async () => {
    const world = makeWorld();
    await world.serveRed();
    world.links.set('br-red', 77);
    await world.clock.advance(500);
    expect(world.backend.server('red')?.link).toEqual({ name: 'br-red', index: 77 });
    expect(world.session.attachmentChanges).toEqual([]);
  });

  test('what an earlier process left on an interface is taken away at the start and when it comes, but not what is claimed', async () => {
    const world = makeWorld();
    const [ours, other] = [0xa9fe0101 as Ipv4, 0xa9fe0909 as Ipv4];
    await world.serveRed();
    await world.crash();
    expect(world.backend.tidied.map(({ links }) => links)).toEqual([['br-red', 'br-blue']]);
    const isClaimed = world.backend.tidied[0]?.isClaimed ?? (() => false);
    const [red, blue] = ['br-red', 'br-blue'].map((name) => ({ name, index: world.links.get(name) ?? 0 })) as [
      Link,
      Link,
    ];
    expect([isClaimed(red, ours), isClaimed(red, other), isClaimed(blue, ours)]).toEqual([true, false, false]);
    world.links.delete('br-blue');
    await world.clock.advance(500);
    world.links.set('br-blue', 9);
    await world.clock.advance(500);
    expect(world.backend.tidied.map(({ links }) => links)).toEqual([['br-red', 'br-blue'], ['br-blue']]);
    await world.welcome({ counter: 2n });
    unassign(world);
    expect(isClaimed(red, ours)).toBe(false);
  });
});

describe('the log says', () => {
  const said = (world: AgentWorld) =>
    world.log.lines
      .filter(({ message }) => /answering dhcp/i.test(message))
      .map(({ level, message, fields }) =>
        [level, `${message}:`, fields['network'], fields['reason']].join(' ').trim(),
      );

  test('that a network is answered only when it is', async () => {
    const world = makeWorld();
    await world.start();
    await world.welcome();
    world.session.deliver('red', 1n, { $case: 'assignment', value: assignmentOf('u1') });
    world.backend.server('red')?.fail('UDP port 67 on br-red is taken');
    await world.deliverRed();
    await world.clock.advance(5_000);
    expect(said(world)).toEqual(['warn Not answering DHCP: red UDP port 67 on br-red is taken']);
    world.backend.server('red')?.fail(undefined);
    await world.clock.advance(1_000);
    expect(said(world).slice(1)).toEqual(['info Answering DHCP: red']);
  });

  test('why it is not answered, once for each reason until it is answered again', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.clock.advance(1_000);
    const fail = async (reason: string | undefined) => {
      world.backend.server('red')?.fail(reason);
      await world.clock.advance(2_000);
    };
    for (const reason of ['a', 'b', 'a', 'b', undefined, 'a']) await fail(reason);
    expect(said(world)).toEqual([
      'info Answering DHCP: red',
      'warn Not answering DHCP: red a',
      'warn Not answering DHCP: red b',
      'info Answering DHCP: red',
      'warn Not answering DHCP: red a',
    ]);
  });

  test('nothing of what is over at the next look', async () => {
    const world = makeWorld();
    await world.serveRed();
    await world.clock.advance(1_000);
    for (let i = 0; i < 5; i++) {
      world.backend.server('red')?.fail(`Reason ${i}`);
      await world.clock.advance(500);
      world.backend.server('red')?.fail(undefined);
      await world.clock.advance(500);
    }
    expect(said(world)).toEqual(['info Answering DHCP: red']);
  });
});
