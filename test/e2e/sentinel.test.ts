// What hosts notice on a real wire reaches the API, and changes nothing else (docs/sentinel.md).

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Leasehold, Reservation, WatchEvent } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { Nic } from '../support/netns.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

// Sends bytes, in hexadecimal digits, by UDP from a port to an address and port.
const SEND = `const [bytes, from, address, to] = process.argv.slice(1);
const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
socket.bind(Number(from), () => {
  socket.setBroadcast(true);
  socket.send(Buffer.from(bytes, 'hex'), Number(to), address, () => socket.close());
});`;
const FOREIGN = 0x0a0101fa as Ipv4;
const UNSET = 0 as Ipv4;

let cluster: Cluster;
let leasehold: Leasehold;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({
    subnetId: 'red-a',
    networkId: 'red',
    cidr: '10.1.1.0/24',
    allocationRanges: [{ first: '10.1.1.100', last: '10.1.1.190' }],
  });
  await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function reserve(mac: string): Promise<Reservation> {
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  return reservation;
}

async function send(nic: Nic, bytes: string, from: number, address: string, to: number): Promise<void> {
  const { code, stderr } = await nic.namespace.run(process.execPath, ['-e', SEND, bytes, `${from}`, address, `${to}`]);
  if (code !== 0) throw new Error(stderr);
}

/** The conflict of a reservation, once there is one of the kind. */
async function conflictOf({ reservationId }: Reservation, kind: string): Promise<Reservation['conflict']> {
  let found: Reservation['conflict'];
  await eventually(`${reservationId} is ${kind}`, async () => {
    found = (await leasehold.reservations.get({ reservationId })).conflict;
    return found?.kind === kind;
  });
  return found;
}

test('a machine that takes the address of another is told of, to those who watch too', async () => {
  const events: WatchEvent[] = [];
  const ended = new AbortController();
  const watching = (async () => {
    for await (const event of leasehold.watch({ networkId: 'red', signal: ended.signal })) events.push(event);
  })().catch(() => undefined);
  const mine = await reserve('52:54:00:00:05:01');
  const thief = await cluster.guest('red', 'thief', '52:54:00:00:05:02');
  await thief.namespace.run('ip', ['address', 'add', `${mine.address}/24`, 'dev', thief.name]);
  // It looks for a neighbour, and says who it is.
  await send(thief, '00', 0, '10.1.1.200', 9);
  const conflict = await conflictOf(mine, 'address-in-use');
  expect(conflict).toMatchObject({ sourceMac: '52:54:00:00:05:02', hostId: 'h1' });
  expect(Math.abs(Date.now() - (conflict?.time.getTime() ?? 0))).toBeLessThan(60_000);
  await eventually('the watch tells it', async () =>
    events.some(
      (event) =>
        event.kind === 'reservation' &&
        event.change === 'updated' &&
        event.reservation.conflict?.kind === 'address-in-use',
    ),
  );
  ended.abort();
  await watching;
  // Nothing else came of it.
  expect(await leasehold.reservations.get({ reservationId: mine.reservationId })).toMatchObject({
    state: 'reserved',
    address: mine.address,
  });
  const lease = await runUdhcpc(await cluster.guest('red', 'mine', '52:54:00:00:05:01'));
  expect(lease?.ip).toBe(mine.address);
});

test('a guest that finds its address taken declines it, and its reservation stays', async () => {
  const reservation = await reserve('52:54:00:00:05:11');
  const other = await cluster.guest('red', 'there', '52:54:00:00:05:12');
  await other.namespace.run('ip', ['address', 'add', `${reservation.address}/24`, 'dev', other.name]);
  await using _guest = await startUdhcpc(await cluster.guest('red', 'declines', '52:54:00:00:05:11'), { args: ['-a'] });
  expect(await conflictOf(reservation, 'declined')).toMatchObject({ sourceMac: '52:54:00:00:05:11', hostId: 'h1' });
  const after = await leasehold.reservations.get({ reservationId: reservation.reservationId });
  expect(after.state).toBe('reserved');
});

test('a guest that gives its address up keeps its reservation', async () => {
  const reservation = await reserve('52:54:00:00:05:21');
  const nic = await cluster.guest('red', 'leaves', '52:54:00:00:05:21');
  await using guest = await startUdhcpc(nic);
  await eventually('it has its address', async () => guest.events().some(({ kind }) => kind === 'bound'));
  // The way to the service address, which udhcpc sends it to from its own.
  await nic.namespace.run('ip', ['route', 'add', '169.254.0.0/16', 'dev', nic.name]);
  guest.process.signal('SIGUSR2');
  expect(await conflictOf(reservation, 'released')).toMatchObject({ sourceMac: '52:54:00:00:05:21' });
  const after = await leasehold.reservations.get({ reservationId: reservation.reservationId });
  expect(after.state).toBe('reserved');
});

test('another DHCP server on the network is told of, with the host that heard it', async () => {
  const nic = await cluster.guest('red', 'rogue', '52:54:00:00:05:31');
  await nic.namespace.run('ip', ['address', 'add', '10.1.1.250/24', 'dev', nic.name]);
  const offer = encode(
    {
      ...{ op: 'reply', xid: 1, flags: 0, ciaddr: UNSET, yiaddr: FOREIGN, siaddr: UNSET, giaddr: UNSET },
      mac: '52:54:00:00:05:32' as Mac,
      options: new Map([
        [OPTION.messageType, u8(MESSAGE_TYPE.offer)],
        [OPTION.serverId, u32(FOREIGN)],
      ]),
    },
    MIN_MAX_BYTES,
  );
  await send(nic, offer.bytes.toString('hex'), 67, '10.1.1.255', 68);
  await eventually('the host tells of it', async () => {
    const { attachments } = await leasehold.hosts.get('h1');
    return attachments[0]?.foreignDhcpServers[0]?.address === '10.1.1.250';
  });
  const { attachments } = await leasehold.hosts.get('h1');
  expect(attachments[0]?.foreignDhcpServers).toEqual([{ address: '10.1.1.250', mac: '52:54:00:00:05:31' }]);
});

test('an address that a machine without a reservation uses is passed over, where the subnet asks for that', async () => {
  await leasehold.subnets.create({
    subnetId: 'red-b',
    networkId: 'red',
    cidr: '10.1.2.0/24',
    allocationRanges: [{ first: '10.1.2.100', last: '10.1.2.101' }],
    probeBeforeUse: true,
  });
  const squatter = await cluster.guest('red', 'squats', '52:54:00:00:05:41');
  await squatter.namespace.run('ip', ['address', 'add', '10.1.2.100/24', 'dev', squatter.name]);
  const request = { subnetId: 'red-b', mac: '52:54:00:00:05:42' };
  const { reservation } = await leasehold.reservations.reserve(request);
  expect(reservation.address).toBe('10.1.2.101');
  await expect(leasehold.reservations.reserve({ ...request, mac: '52:54:00:00:05:43' })).rejects.toMatchObject({
    reason: 'ADDRESSES_IN_USE',
    metadata: { addresses: '10.1.2.100' },
  });
});

test('what was noticed is counted', async () => {
  const samples = await cluster.servers[0].metrics();
  for (const kind of ['declined', 'address-in-use', 'released']) {
    expect(samples.get(`leasehold_sightings_total{kind="${kind}",outcome="noted"}`)).toBeGreaterThan(0);
  }
  expect(samples.get('leasehold_probes_total{outcome="used"}')).toBe(1);
  expect(samples.get('leasehold_probes_total{outcome="free"}')).toBe(1);
});
