import { describe, expect, test } from 'vitest';
import { connectWith } from './connect.js';
import { InvalidArgumentError } from './errors.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { startScriptedServer } from './test-support/scripted-server.js';

// Nobody is there: who is asked after all fails otherwise.
const leasehold = connectWith({ server: '127.0.0.1:1', waitForServer: false }, fakeRuntime());
const { reservations, subnets } = leasehold;

/** Which fields are refused without a call. */
async function refused(call: Promise<unknown>): Promise<readonly string[]> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InvalidArgumentError);
  const { code, reason, fieldViolations, message } = error as InvalidArgumentError;
  expect({ code, reason }).toEqual({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD' });
  for (const { field, description } of fieldViolations) expect(message).toContain(`${field}: ${description}`);
  return fieldViolations.map(({ field }) => field);
}

const subnet = { subnetId: 'a', networkId: 'red', cidr: '10.0.0.0/24' };
const wrongSettings = {
  gateway: '10.0.0.256',
  dnsServers: ['10.0.0.2', 'dns'],
  ntpServers: [''],
  routes: [{ destination: '10.1.0.0', nextHop: '::1' }],
  allocationRanges: [{ first: '10.0.0.010', last: '10.0.0.20' }],
  excludedRanges: [{ first: '10.0.0.1', last: 'x' }],
};
const WRONG_SETTINGS = [
  'subnet.gateway',
  'subnet.dns_servers[1]',
  'subnet.ntp_servers[0]',
  'subnet.routes[0].destination',
  'subnet.routes[0].next_hop',
  'subnet.allocation_ranges[0].first',
  'subnet.excluded_ranges[0].last',
];

describe('is refused without a call, by the names of the API', () => {
  test('a reserve', async () => {
    expect(await refused(reservations.reserve({ subnetId: 'a', mac: '01:00:5e:00:00:01', address: '1' }))).toEqual([
      'mac',
      'address',
    ]);
    expect(await refused(reservations.reserve({ subnetId: 'a', mac: '' }))).toEqual(['mac']);
  });

  test('a release', async () => {
    const wrong = { subnetId: 'a', address: '10.0.0', mac: 'x' };
    expect(await refused(reservations.release(wrong))).toEqual(['address', 'mac']);
    expect(await refused(reservations.release({ networkId: 'red', mac: 'x' }))).toEqual(['key.mac.mac']);
    expect(await refused(reservations.release({ reservationId: 'r', mac: 'x' }))).toEqual(['mac']);
  });

  test('a reservation that is asked for or changed, and history', async () => {
    expect(await refused(reservations.get({ subnetId: 'a', address: 'x' }))).toEqual(['address']);
    expect(await refused(reservations.get({ networkId: 'red', mac: 'x' }))).toEqual(['mac']);
    const changed = reservations.update({ subnetId: 'a', address: 'x' }, { owner: 'o' });
    expect(await refused(changed)).toEqual(['key.address.address']);
    expect(await refused(reservations.list({ mac: 'x' }).toArray())).toEqual(['mac']);
    expect(await refused(reservations.history({ subnetId: 'a', address: 'x' }).toArray())).toEqual(['address']);
    expect(await refused(reservations.history({ mac: 'x' }).toArray())).toEqual(['mac']);
  });

  test('a subnet', async () => {
    expect(await refused(subnets.create({ ...subnet, cidr: '10.0.0.1/24' }))).toEqual(['subnet.cidr']);
    expect(await refused(subnets.create({ ...subnet, ...wrongSettings }))).toEqual(WRONG_SETTINGS);
    expect(await refused(subnets.update('a', wrongSettings))).toEqual(WRONG_SETTINGS);
  });

  test('a span that is none', async () => {
    const spans = { leaseTimeSeconds: Number.NaN, reuseDelaySeconds: Infinity };
    const wrong = ['subnet.lease_time', 'subnet.reuse_delay'];
    expect(await refused(subnets.create({ ...subnet, ...spans }))).toEqual(wrong);
    expect(await refused(subnets.update('a', spans))).toEqual(wrong);
    const waitReady = { timeoutMs: Number.NaN };
    const mac = '52:54:00:aa:bb:cc';
    expect(await refused(reservations.reserve({ subnetId: 'a', mac, waitReady }))).toEqual(['wait_ready.timeout']);
    expect(await refused(reservations.reserveMany([{ subnetId: 'a', mac }], { waitReady }))).toEqual([
      'wait_ready.timeout',
    ]);
  });

  test('a filter by a word that there is not, which would be no filter', async () => {
    const filter = { resourceKind: 'hosts' as never };
    expect(await refused(leasehold.audit.list(filter).toArray())).toEqual(['resource_kind']);
    expect(await refused(reservations.list({ state: 'ended' as never }).toArray())).toEqual(['state']);
  });
});

test('whatever the server takes is sent as it was given', async () => {
  await using fake = await startScriptedServer({ reserveAddress: () => 'never', updateSubnet: () => 'never' });
  await using client = connectWith({ server: fake.server }, fakeRuntime());
  const once = { timeoutMs: 300 };
  const none = { gateway: null, dnsServers: [], ntpServers: [] };
  const asked = [
    ...['52-54-00-AA-BB-CC', '5254.00aa.bbcc'].map((mac) => client.reservations.reserve({ subnetId: 'a', mac }, once)),
    client.subnets.update('a', none, once),
  ];
  await Promise.allSettled(asked);
  const macs = fake.requests('reserveAddress').map(({ mac }) => mac);
  expect(macs).toEqual(['52-54-00-AA-BB-CC', '5254.00aa.bbcc']);
  expect(fake.requests('updateSubnet')).toHaveLength(1);
});
