// What real guests get from a backend, in every state that each client can be brought into. After each test all that was
// on the wire meanwhile is judged (wire-check.ts).

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { databaseOf } from '../../support/database-looks.js';
import { CLIENTS, type ClientKind, type DhcpcdMachine } from '../../support/dhcp-clients.js';
import { eventually } from '../../support/eventually.js';
import { hasMongod } from '../../support/mongod-binary.js';
import { sharedReplicaSet } from '../../support/shared-replica-set.js';
import { stateOf } from '../../support/wire-check.js';
import type { GuestBackend } from './guest-backend.js';
import { type Guest, GuestStage } from './guest-stage.js';

const hasMongo = await hasMongod();
const here = await Promise.all(CLIENTS.map(({ isHere }) => isHere()));
const present = CLIENTS.filter((_, i) => here[i]);
const ELSEWHERE = '192.168.77.7';
const MANY = 200;

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
    movedTests(backend);
  });

  describe(`all clients as guests of ${backend.name}`, () => {
    sharedTests(() => stage, backend);
  });
}

/** An address that goes to another MAC: needs a look into the database, because no time may be set so short. */
function movedTests(backend: GuestBackend): void {
  const mongo = sharedReplicaSet({ nodes: 1 });

  test('an address goes to another MAC: that has it, and the first one is answered nothing', async () => {
    const uri = mongo.freshUri();
    await using stage = await GuestStage.start(backend, { store: uri, servers: 1 });
    const [kind] = present;
    if (!kind) throw new Error('There is no client');
    const before = await stage.guest(kind);
    await before.machine.boot();
    await stage.expectAddress(before);
    await stage.release(before, true);
    const node = await mongo.set.waitForPrimary();
    const set = (collection: string, q: Document, fields: Document) =>
      node.command(databaseOf(uri), { update: collection, updates: [{ q, u: { $set: fields } }] });
    await set('networks', { 'subnets.subnet_id': 'red-a' }, { 'subnets.$.lease_time_ceiling_s': 0 });
    await set('slots', { reservation_id: before.reservationId }, { reuse_delay: 1, lease_time_ceiling: 0 });
    const { mac } = stage.newcomer();
    const tenant = await stage.pass(before, mac);
    await before.machine.powerOff();
    const after = { ...tenant, machine: await stage.install(kind, await stage.nic(mac)) };
    await after.machine.boot();
    await stage.expectAddress(after);
    const from = await stage.tap.position();
    before.machine.remember(before.address);
    await before.machine.boot();
    await stage.heard(before, 'it asks', ({ type }) => type === 'discover', from);
    after.machine.renew();
    await stage.heard(after, 'an ACK', ({ type }) => type === 'ack', from);
    expect((await stage.phases(before, from)).every((phase) => phase.startsWith('discover'))).toBe(true);
    await stage.tap.judge();
  });
}

function clientTests(theStage: () => GuestStage, kind: ClientKind): void {
  const isHere = here[CLIENTS.indexOf(kind)];

  /** A guest that was on once, and is off. */
  async function known(): Promise<Guest> {
    const guest = await running();
    await eventually('it remembers', async () => guest.machine.remembers(guest.address));
    await guest.machine.powerOff();
    return guest;
  }

  async function running(): Promise<Guest> {
    const guest = await theStage().guest(kind);
    await guest.machine.boot();
    await theStage().expectAddress(guest);
    return guest;
  }

  test.skipIf(!isHere)('boots for the first time', async () => {
    const stage = theStage();
    const guest = await running();
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
    const guest = await known();
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
    const guest = await known();
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
    const guest = await running();
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
    const guest = await running();
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

  test('an address that somebody else uses is declined; the reservation stays', async () => {
    const stage = theStage();
    await Promise.all(
      present.map(async (kind) => {
        const guest = await stage.guest(kind);
        const squatter = await stage.squat(guest.address);
        await guest.machine.boot({ probes: true });
        const declined = await stage.heard(guest, 'it declines', ({ type }) => type === 'decline');
        expect(declined.requested).toBe(guest.address);
        const { reservationId, address } = guest;
        expect(await stage.leasehold.reservations.get({ reservationId })).toMatchObject({ state: 'reserved', address });
        await guest.machine.powerOff();
        await squatter.namespace.linkDown(squatter.name);
        if (!backend.offersDeclinedAgain) return;
        await guest.machine.boot();
        await stage.expectAddress(guest);
      }),
    );
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

  test('an unknown MAC is answered nothing by any message, while others are', async () => {
    const stage = theStage();
    const strangers: ReturnType<GuestStage['newcomer']>[] = [];
    for (const kind of present) {
      const stranger = stage.newcomer();
      const machine = await stage.install(kind, await stage.nic(stranger.mac));
      await machine.boot();
      strangers.push(stranger);
    }
    const asked = (stranger: (typeof strangers)[number]) =>
      stage.heard(stranger, 'it asks', ({ type }) => type === 'discover');
    await Promise.all(strangers.map(asked));
    await oneOfEach();
    for (const stranger of strangers) expect([...new Set(await stage.phases(stranger))]).toEqual(['discover']);
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
    const booted = await first?.namespace.run('sh', [script, String(MANY)]);
    expect(booted?.stderr).toBe('');
    expect(booted?.code).toBe(0);
    for (const tenant of tenants) expect(await stage.phases(tenant)).toContain(`ack ${tenant.address}`);
  });
}

// Quiet but for a client that gets nothing. Twenty tries: they all share two cores.
const BOOT_MANY = `n=0
while [ $n -lt "$1" ]; do
  (udhcpc -f -q -n -t 20 -T 1 -i vm$n -s /bin/true >/dev/null 2>&1 || echo "vm$n got nothing" >&2) &
  n=$((n + 1))
done
wait
`;
