// What real guests get from a backend, in every state that each client can be brought into. After each test all that was
// on the wire meanwhile is judged (wire-check.ts).

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { boottimeNow } from '@leasehold/agent/system/boottime';
import type { Document } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../support/cluster.js';
import { databaseOf } from '../../support/database-looks.js';
import { CLIENTS, type ClientKind, type DhcpcdMachine } from '../../support/dhcp-clients.js';
import { eventually } from '../../support/eventually.js';
import { hasMongod } from '../../support/mongod-binary.js';
import { type RawMessage, say } from '../../support/raw-guest.js';
import { type SharedReplicaSet, sharedReplicaSet } from '../../support/shared-replica-set.js';
import { findUdhcpc } from '../../support/udhcpc-binary.js';
import { type CarriedMessage, stateOf } from '../../support/wire-check.js';
import type { GuestBackend } from './guest-backend.js';
import { ELSEWHERE, type Guest, GuestStage, type Tenant } from './guest-stage.js';

const hasMongo = await hasMongod();
const here = await Promise.all(CLIENTS.map(({ isHere }) => isHere()));
const present = CLIENTS.filter((_, i) => here[i]);
const FOREIGN_SERVER = '10.1.0.250';
const MANY = 200;
const AUTHORITY_S = 7;
/** Three heartbeat intervals: who did not hear the control plane for longer is behind. */
const BEHIND_AFTER_MS = 3_000;
/** By so much the end of authority may be missed, and as much again for a machine that is busy. */
const MISSED_MS = 200;

/** Runs the suite against a backend. */
export function guestConformance(backend: GuestBackend): void {
  let stage: GuestStage;

  beforeAll(async () => {
    stage = await GuestStage.start(backend);
  });

  afterEach(async () => {
    await stage.clear();
    await stage.tap.judge();
  });

  afterAll(async () => {
    await stage[Symbol.asyncDispose]();
  });

  describe.each(CLIENTS)(`$name as the guest of ${backend.name}`, (kind) => {
    clientTests(() => stage, kind);
  });

  describe.skipIf(!hasMongo)(`guests of ${backend.name} on MongoDB`, () => {
    const mongo = sharedReplicaSet({ nodes: 1 });
    movedTests(backend, mongo);
    authorityTests(backend, mongo);
  });

  describe(`all clients as guests of ${backend.name}`, () => {
    sharedTests(() => stage, backend);
  });
}

/** Past the servers: changes documents of a database. */
async function change(mongo: SharedReplicaSet, uri: string, collection: string, q: Document, fields: Document) {
  const node = await mongo.set.waitForPrimary();
  const updates = [{ q, u: { $set: fields }, multi: true }];
  await node.command(databaseOf(uri), { update: collection, updates });
}

/** Addresses that go to other MACs: needs a look into the database, because no time may be set so short. */
function movedTests(backend: GuestBackend, mongo: SharedReplicaSet): void {
  test('addresses go to other MACs: those have them, and the first ones are answered nothing', async () => {
    const uri = mongo.freshUri();
    await using stage = await GuestStage.start(backend, await Cluster.startSeveral({ store: uri, servers: 1 }));
    const before = await Promise.all(present.map((kind) => stage.running(kind)));
    for (const guest of before) await stage.release(guest, true);
    await change(mongo, uri, 'networks', { 'subnets.subnet_id': 'red-a' }, { 'subnets.$.lease_time_ceiling_s': 0 });
    for (const { reservationId } of before) {
      await change(mongo, uri, 'slots', { reservation_id: reservationId }, { reuse_delay: 1, lease_time_ceiling: 0 });
    }
    const move = async (guest: Guest, kind: ClientKind) => {
      const { mac } = stage.newcomer();
      const tenant = await stage.pass(guest, mac);
      await guest.machine.powerOff();
      const after = { ...tenant, machine: await stage.install(kind, await stage.nic(mac)) };
      await after.machine.boot();
      await stage.expectAddress(after);
      return after;
    };
    const after = await Promise.all(before.map((guest, i) => move(guest, present[i] as ClientKind)));
    const from = await stage.tap.position();
    for (const { machine } of before) await machine.boot();
    await Promise.all(before.map((guest) => stage.heard(guest, 'it asks', isQuestion, from)));
    for (const { machine } of after) machine.renew();
    await Promise.all(after.map((guest) => stage.heard(guest, 'an ACK', ({ type }) => type === 'ack', from)));
    for (const guest of before) expect(await answersTo(stage, guest, from)).toEqual([]);
    await stage.clear();
    await stage.tap.judge();
  });
}

/** Authority that ends by itself, after seconds: the shortest that a server takes is a minute, so it is set in the database. */
function authorityTests(backend: GuestBackend, mongo: SharedReplicaSet): void {
  test('beyond its authority no host answers, be it cut off or frozen, nor once it goes on', async () => {
    await using stage = await startWithAuthority();
    const { cluster } = stage;
    await stage.setServerCount(2);
    const on = await Promise.all(present.map((kind) => stage.running(kind)));
    const off = await Promise.all(present.map((kind) => stage.known(kind)));
    const raw = () => stage.rawGuest();
    const [waiting, asking, wrong, last] = await Promise.all([raw(), raw(), raw(), raw()]);
    const [frozen, alone] = [stage.host('h1'), stage.host('h2')];

    const line = alone.agent.lines.length;
    // What waits before it is refused: the wait ends while nobody answers.
    await say(waiting.nic, { type: 'request', requested: ELSEWHERE });
    frozen.agent.signal('SIGSTOP');
    const from = await stage.tap.position();
    cluster.server.signal('SIGSTOP');
    const cutMs = boottimeNow();
    await say(asking.nic, { type: 'discover' });
    await stage.heard(asking, 'an OFFER of h2', isOfferOf(stage, 'h2'), from);
    if (backend.outlivesAgent) await stage.heard(asking, 'an OFFER of h1', isOfferOf(stage, 'h1'), from);

    await reached(cutMs + BEHIND_AFTER_MS + MISSED_MS);
    await say(wrong.nic, { type: 'request', requested: ELSEWHERE });
    await say(last.nic, { type: 'discover' });
    // It waits as long as a NAK would, and was asked for later.
    await stage.heard(last, 'an OFFER of h2', isOfferOf(stage, 'h2'), from);
    const refused = (await answersTo(stage, wrong, from)).includes('nak');
    expect(refused).toBe(!backend.naksOnlyWhenSynchronised);

    await reached(cutMs + AUTHORITY_S * 1_000 + MISSED_MS);
    await stage.ended('h1', 'h2');
    await alone.agent.waitForLine('Not answering DHCP', line);
    const told = (await Promise.all([asking, ...on].map(({ mac }) => stage.tap.messages(mac, from)))).flat();
    expect(told.some(({ sender }) => sender === stage.senderOf('h1'))).toBe(backend.outlivesAgent);

    const beyond = await stage.tap.position();
    const expectNoAnswer = async () => {
      for (const guest of [...on, ...off, waiting, asking]) expect(await answersTo(stage, guest, beyond)).toEqual([]);
    };
    for (const { machine } of on) machine.renew();
    for (const { machine } of off) await machine.boot();
    await say(asking.nic, { type: 'discover' });
    await Promise.all([...on, ...off, asking].map((guest) => stage.heard(guest, 'it asks', isQuestion, beyond)));
    await expectNoAnswer();

    // All that was asked meanwhile is in the sockets of the frozen one.
    const thawed = frozen.agent.lines.length;
    frozen.agent.signal('SIGCONT');
    await frozen.agent.waitForLine('Not answering DHCP', thawed);
    const again = await stage.tap.position();
    await expectNoAnswer();
    for (const guest of off.slice(0, 1)) await stage.heard(guest, 'it asks again', isQuestion, again);
    await expectNoAnswer();

    await stage.serve('h1', 'h2');
    const lines = [frozen, alone].map(({ agent }) => agent.lines.length);
    cluster.server.signal('SIGCONT');
    await Promise.all([frozen, alone].map(({ agent }, i) => agent.waitForLine('Answering DHCP', lines[i])));
    for (const { machine } of off) {
      await machine.powerOff();
      await machine.boot();
    }
    await Promise.all([...on, ...off].map((guest) => stage.expectAddress(guest)));
    await stage.clear();
    await stage.tap.judge();
  });

  async function startWithAuthority(): Promise<GuestStage> {
    const uri = mongo.freshUri();
    const cluster = await Cluster.startSeveral({ store: uri, servers: 1 });
    await cluster.server.stop();
    await change(mongo, uri, 'settings', {}, { authority: AUTHORITY_S, authority_ceiling: AUTHORITY_S });
    await cluster.startServer();
    return GuestStage.start(backend, cluster);
  }

  async function reached(ms: number): Promise<void> {
    await eventually('the time has come', async () => boottimeNow() >= ms);
  }
}

function isQuestion({ type }: CarriedMessage): boolean {
  return type === 'discover' || type === 'request';
}

function isOfferOf(stage: GuestStage, hostId: string): (message: CarriedMessage) => boolean {
  return ({ type, sender }) => type === 'offer' && sender === stage.senderOf(hostId);
}

/** What servers said to a MAC, from a position on. */
async function answersTo(stage: GuestStage, { mac }: Pick<Tenant, 'mac'>, from = 0): Promise<readonly string[]> {
  const messages = await stage.tap.messages(mac, from);
  return messages.map(({ type }) => type).filter((type) => ['offer', 'ack', 'nak'].includes(type));
}

function clientTests(theStage: () => GuestStage, kind: ClientKind): void {
  const isHere = here[CLIENTS.indexOf(kind)];

  test.skipIf(!isHere)('boots for the first time', async () => {
    const stage = theStage();
    const guest = await stage.running(kind);
    const { address } = guest;
    expect([...new Set(await stage.phases(guest))].slice(0, 4)).toEqual([
      'discover',
      `offer ${address}`,
      `selecting ${address}`,
      `ack ${address}`,
    ]);
  });

  test.skipIf(!isHere)('boots again with the address it remembers', async () => {
    const stage = theStage();
    const guest = await stage.known(kind);
    const { address, machine } = guest;
    if (!kind.reboots) machine.remember(address);
    const from = await stage.tap.position();
    await machine.boot();
    await stage.expectAddress(guest);
    const phases = await stage.phases(guest, from);
    if (kind.reboots)
      expect(phases.slice(0, 2)).toEqual([expect.stringContaining(`init-reboot ${address}`), `ack ${address}`]);
    else expect(phases.slice(0, 2)).toEqual([`discover ${address}`, `offer ${address}`]);
  });

  test.skipIf(!isHere).each([
    ["that is another guest's", undefined],
    ['of another network', ELSEWHERE],
  ])('boots with a remembered address %s, and gets its own', async (_, elsewhere) => {
    const stage = theStage();
    const guest = await stage.known(kind);
    const wrong = elsewhere ?? (await stage.reserve()).address;
    guest.machine.remember(wrong);
    const from = await stage.tap.position();
    await guest.machine.boot();
    await stage.expectAddress(guest);
    const phases = await stage.phases(guest, from);
    if (kind.reboots) {
      expect(phases[0]).toBe(`init-reboot ${wrong}`);
      expect(phases).toContain('nak');
    } else {
      expect(phases[0]).toBe(`discover ${wrong}`);
      expect(phases).not.toContain('nak');
    }
    expect(phases).toContain(`selecting ${guest.address}`);
  });

  test.skipIf(!isHere)('renews, and is told what was changed meanwhile', async () => {
    const stage = theStage();
    const guest = await stage.running(kind);
    const next = `10.1.3.${guest.address.split('.')[3]}`;
    await stage.setDnsServers(next);
    const from = await stage.tap.position();
    guest.machine.renew();
    await stage.heard(guest, 'it renews', (message) => stateOf(message) === 'renewing', from);
    const { destination } = await stage.heard(guest, 'an ACK', ({ type }) => type === 'ack', from);
    expect(destination).toBe(guest.address);
    await eventually('it is told the new DNS server', async () => guest.machine.dnsServers() === next);
    expect(await stage.phases(guest, from)).not.toContain('discover');
  });

  test.skipIf(!isHere)('releases, which ends no reservation: it gets its address again', async () => {
    const stage = theStage();
    const guest = await stage.running(kind);
    await guest.machine.release();
    await stage.heard(guest, 'it releases', ({ type }) => type === 'release');
    await guest.machine.powerOff();
    expect(await reservationOf(guest)).toMatchObject({ state: 'reserved', address: guest.address });
    await guest.machine.boot();
    await stage.expectAddress(guest);
  });

  async function reservationOf({ reservationId }: Guest) {
    return theStage().leasehold.reservations.get({ reservationId });
  }
}

function sharedTests(theStage: () => GuestStage, backend: GuestBackend): void {
  /** One guest of each kind, running. */
  async function oneOfEach(): Promise<readonly Guest[]> {
    const stage = theStage();
    const guests: Guest[] = [];
    for (const kind of present) guests.push(await stage.guest(kind));
    await Promise.all(guests.map(({ machine }) => machine.boot()));
    await Promise.all(guests.map((guest) => stage.expectAddress(guest)));
    return guests;
  }

  /** A guest is told by that host that it keeps its address, and never loses it. */
  async function expectKept(guest: Guest, hostId: string, from: number): Promise<void> {
    const stage = theStage();
    const sender = stage.senderOf(hostId);
    await stage.heard(guest, `an ACK of ${hostId}`, (each) => each.type === 'ack' && each.sender === sender, from);
    await stage.expectAddress(guest);
    const phases = await stage.phases(guest, from);
    expect(phases).not.toContain('nak');
    expect(phases).not.toContain('discover');
  }

  test('guests take other addresses that they were given meanwhile', async () => {
    const stage = theStage();
    const giveAnother = async (kind: ClientKind) => {
      const before = await stage.running(kind);
      const from = await stage.tap.position();
      await stage.release(before);
      const { address } = stage.newcomer();
      const after = { ...before, ...(await stage.reserve({ mac: before.mac, address })) };
      after.machine.renew();
      await stage.heard(after, 'a NAK', ({ type }) => type === 'nak', from);
      if (!kind.hearsBroadcastsRenewing && !backend.naksByUnicast) after.machine.rebind();
      await stage.expectAddress(after);
      expect(await stage.phases(after, from)).toContain(`selecting ${address}`);
    };
    await Promise.all(present.map(giveAnother));
  });

  test('an address that somebody else uses is declined; the reservation stays', async () => {
    const stage = theStage();
    const decline = async (kind: ClientKind) => {
      const guest = await stage.guest(kind);
      const squatter = await stage.squat(guest.address);
      await guest.machine.boot({ probes: true });
      const declined = await stage.heard(guest, 'it declines', ({ type }) => type === 'decline');
      expect(declined.requested).toBe(guest.address);
      const { reservationId, address } = guest;
      expect(await stage.leasehold.reservations.get({ reservationId })).toMatchObject({ state: 'reserved', address });
      await guest.machine.powerOff();
      await squatter.namespace.linkDown(squatter.name);
      return guest;
    };
    const guests = await Promise.all(present.map(decline));
    const from = await stage.tap.position();
    for (const { machine } of guests) await machine.boot();
    if (!backend.offersDeclinedAgain) {
      await Promise.all(guests.map((guest) => stage.heard(guest, 'it asks', isQuestion, from)));
      await stage.answered();
      for (const guest of guests) expect(await answersTo(stage, guest, from)).toEqual([]);
      await stage.setDnsServers('10.1.0.3');
    }
    await Promise.all(guests.map((guest) => stage.expectAddress(guest)));
  });

  const dhcpcd = present.find(({ name }) => name === 'dhcpcd');
  test.skipIf(!dhcpcd)('a guest with an address of its own is told the rest by INFORM', async () => {
    const stage = theStage();
    const guest = await stage.guest(dhcpcd as ClientKind);
    await (guest.machine as DhcpcdMachine).inform(`${guest.address}/22`);
    const ack = await stage.heard(guest, 'an ACK', ({ type }) => type === 'ack');
    expect(ack).toMatchObject({ ciaddr: guest.address, yiaddr: '0.0.0.0', destination: guest.address });
    expect((await stage.phases(guest))[0]).toBe(`inform ${guest.address}`);
  });

  test('an unknown MAC is answered nothing, whatever client asks, while others are', async () => {
    const stage = theStage();
    const strangers = await Promise.all(
      present.map(async (kind) => {
        const stranger = stage.newcomer();
        const machine = await stage.install(kind, await stage.nic(stranger.mac));
        await machine.boot();
        return stranger;
      }),
    );
    await Promise.all(strangers.map((stranger) => stage.heard(stranger, 'it asks', isQuestion)));
    await oneOfEach();
    for (const stranger of strangers) expect([...new Set(await stage.phases(stranger))]).toEqual(['discover']);
  });

  test('an unknown MAC is answered nothing by any message, whosever the address is', async () => {
    const stage = theStage();
    const [stranger, { address: others }] = [stage.newcomer(), await stage.reserve()];
    const server = await stage.serviceAddress();
    const messages = [stranger.address, others, ELSEWHERE].flatMap((address): readonly RawMessage[] => [
      { type: 'discover', requested: address },
      { type: 'request', requested: address, server },
      { type: 'request', requested: address, server: FOREIGN_SERVER },
      { type: 'request', requested: address },
      { type: 'request', ciaddr: address },
      { type: 'inform', ciaddr: address },
      { type: 'decline', requested: address, server },
      { type: 'release', ciaddr: address, server },
    ]);
    await say(await stage.nic(stranger.mac), { type: 'discover' }, ...messages);
    await stage.answered();
    const heard = await stage.tap.messages(stranger.mac);
    expect(heard).toHaveLength(1 + messages.length);
    expect(await answersTo(stage, stranger)).toEqual([]);
  });

  test('what another server was asked for is its own affair, or refused by the design of the backend', async () => {
    const stage = theStage();
    const guest = await stage.rawGuest();
    const question = { type: 'request', server: FOREIGN_SERVER } as const;
    await say(guest.nic, { ...question, requested: guest.address }, { ...question, requested: ELSEWHERE });
    await stage.answered();
    expect(await answersTo(stage, guest)).toEqual(backend.naksForOthers ? ['nak', 'nak'] : []);
  });

  test('an INFORM from an address that is not its own is answered nothing, or settings by the design of the backend', async () => {
    const stage = theStage();
    const [guest, { address: others }] = [await stage.rawGuest(), await stage.reserve()];
    // Whoever answers finds it there.
    await guest.nic.namespace.addAddress(guest.nic.name, `${others}/22`);
    await say(guest.nic, { type: 'inform', ciaddr: others }, { type: 'inform', ciaddr: ELSEWHERE });
    await stage.answered();
    expect(await answersTo(stage, guest)).toEqual(backend.informsAnywhere ? ['ack', 'ack'] : []);
  });

  test('BOOTP, whose addresses have no end, is answered nothing', async () => {
    const stage = theStage();
    const guest = await stage.rawGuest();
    await say(guest.nic, { type: 'bootp' });
    await stage.answered();
    expect(await stage.tap.messages(guest.mac)).toMatchObject([{ type: 'other' }]);
  });

  test('what a relay passes on is answered nothing, or the relay by the design of the backend', async () => {
    const stage = theStage();
    const [guest, { address: relay }] = [await stage.rawGuest(), stage.newcomer()];
    await guest.nic.namespace.addAddress(guest.nic.name, `${relay}/22`);
    await say(guest.nic, { type: 'discover', giaddr: relay });
    await stage.answered();
    expect(await answersTo(stage, guest)).toEqual(backend.answersRelays ? ['offer'] : []);
  });

  test('after the network moved to another host its guests keep their addresses', async () => {
    const stage = theStage();
    const guests = await oneOfEach();
    const before = await stage.serving();
    const now = await stage.replaced(before, async () => {
      await stage.leasehold.hosts.update(before, { maintenance: true });
    });
    await stage.ended(before);
    const from = await stage.tap.position();
    for (const { machine } of guests) machine.renew();
    await Promise.all(guests.map((guest) => expectKept(guest, now, from)));
    await stage.leasehold.hosts.update(before, { maintenance: false });
    await stage.back(before);
  });

  test('after the host died they rebind, and keep them', async () => {
    const stage = theStage();
    const guests = await oneOfEach();
    const before = await stage.serving();
    for (const guest of guests) await stage.stick(guest, before);
    const now = await stage.replaced(before, () => stage.crash(before));
    await stage.ended(before);
    const from = await stage.tap.position();
    for (const { machine } of guests) machine.rebind();
    await Promise.all(guests.map((guest) => expectKept(guest, now, from)));
    for (const guest of guests) {
      expect((await stage.tap.messages(guest.mac, from)).map(stateOf)).toContain('rebinding');
    }
    await stage.reboot(before);
  });

  // Its authority may outlast its placement: until it hears of that it may answer, from a table that is still true.
  test('a host that stood still until it was replaced disturbs nobody, and answers no more once it has heard of it', async () => {
    const stage = theStage();
    const [guest] = await oneOfEach();
    const before = await stage.serving();
    const { agent } = stage.host(before);
    const now = await stage.replaced(before, async () => agent.signal('SIGSTOP'));
    const from = await stage.tap.position();
    await guest?.machine.powerOff();
    await guest?.machine.boot();
    await stage.heard(guest as Guest, `an ACK of ${now}`, ({ type }) => type === 'ack', from);
    const line = agent.lines.length;
    agent.signal('SIGCONT');
    await agent.waitForLine('Network is not served any more', line);
    await stage.ended(before);
    await stage.back(before);
    expect(await stage.serving()).toBe(now);
    await guest?.machine.powerOff();
    await guest?.machine.boot();
    await stage.expectAddress(guest as Guest);
  });

  test('of two servers at once both answer, and every guest has one address', async () => {
    const stage = theStage();
    await stage.setServerCount(2);
    const guests = await oneOfEach();
    for (const guest of guests) {
      const offers = (await stage.tap.messages(guest.mac)).filter(({ type }) => type === 'offer');
      expect(new Set(offers.map(({ sender }) => sender)).size).toBe(2);
    }
    const from = await stage.tap.position();
    for (const { machine } of guests) machine.renew();
    const renewed = (guest: Guest) => stage.heard(guest, 'an ACK', ({ type }) => type === 'ack', from);
    await Promise.all(guests.map(renewed));
    for (const guest of guests) {
      await guest.machine.powerOff();
      guest.machine.remember(ELSEWHERE);
      await guest.machine.boot();
    }
    await Promise.all(guests.map((guest) => stage.expectAddress(guest)));
    await stage.clear();
    await stage.setServerCount(1);
  });

  test(`${MANY} guests that boot at once get their addresses`, async () => {
    const stage = theStage();
    const tenants = await stage.reserveAll(Array.from({ length: MANY }, () => stage.newcomer()));
    const wire = await stage.cluster.wire('red');
    const [first] = await stage.cluster.lab.guests(
      wire,
      'many',
      tenants.map(({ mac }) => mac),
    );
    const script = join(stage.cluster.directory, 'boot-many');
    writeFileSync(script, BOOT_MANY);
    const udhcpc = await findUdhcpc();
    if (!udhcpc.ok) throw new Error(udhcpc.problem);
    const booted = await first?.namespace.run('sh', [script, String(MANY), ...udhcpc.command]);
    expect(booted?.stderr).toBe('');
    expect(booted?.code).toBe(0);
    for (const tenant of tenants) expect(await stage.phases(tenant)).toContain(`ack ${tenant.address}`);
  });

  test('no client has run another script than ours', () => {
    expect(theStage().resolverFile()).toEqual(theStage().resolverFileBefore);
  });
}

// Quiet but for a client that gets nothing. Twenty tries: they all share two cores.
const BOOT_MANY = `count=$1
shift
n=0
while [ $n -lt $count ]; do
  ("$@" -f -q -n -t 20 -T 1 -i vm$n -s /bin/true >/dev/null 2>&1 || echo "vm$n got nothing" >&2) &
  n=$((n + 1))
done
wait
`;
