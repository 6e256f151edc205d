// Every RPC works for who knows nothing but what reflection tells: buf curl, and grpcurl where there is one.

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiPlace } from '../conformance/api/api.js';
import { fakePlace } from '../conformance/api/fake-place.js';
import { serverPlace } from '../conformance/api/server-place.js';
import { eventually } from '../support/eventually.js';
import { type ReflectionClient, reflectionClient, reflectionTools } from '../support/reflection-clients.js';

const SERVICE = 'ipam.v1.IpamService';
// Each call is a program of its own.
const PATIENCE_MS = 240_000;

const tools = await reflectionTools();
if (tools.length === 1) console.log('Not tried: grpcurl, because there is none here');

/** A call of each RPC, in an order in which all of them succeed; those after `gone` when the host is gone. */
const RESERVED = { subnetId: 'a', address: '10.0.0.10' };
const CALLS: readonly (readonly [rpc: string, request: object, answered: object])[] = [
  ['CreateNetwork', { network: { networkId: 'red' } }, { network: { networkId: 'red', ipamEnabled: true } }],
  ['GetNetwork', { networkId: 'red' }, { network: { networkId: 'red' } }],
  ['ListNetworks', { pageSize: 10 }, { networks: [{ networkId: 'red' }] }],
  ['UpdateNetwork', { network: { networkId: 'red', displayName: 'Red' } }, { network: { displayName: 'Red' } }],
  [
    'CreateSubnet',
    { subnet: { subnetId: 'a', networkId: 'red', cidr: '10.0.0.0/24' } },
    { subnet: { leaseTime: '3600s' } },
  ],
  ['GetSubnet', { subnetId: 'a' }, { subnet: { cidr: '10.0.0.0/24' } }],
  ['ListSubnets', { networkId: 'red' }, { subnets: [{ subnetId: 'a' }] }],
  ['UpdateSubnet', { subnet: { subnetId: 'a', mtu: 1400 }, updateMask: 'mtu' }, { subnet: { mtu: 1400 } }],
  [
    'ReserveAddress',
    { ...RESERVED, mac: '52:54:00:00:00:01' },
    { created: true, reservation: { address: '10.0.0.10' } },
  ],
  [
    'BatchReserveAddresses',
    {
      requests: [
        { subnetId: 'a', mac: '52:54:00:00:00:02', address: '10.0.0.11' },
        { subnetId: 'nowhere', mac: '52:54:00:00:00:03' },
      ],
    },
    { results: [{ response: { created: true } }, { status: { code: status.NOT_FOUND } }] },
  ],
  ['GetReservation', { address: RESERVED }, { reservation: { state: 'RESERVATION_STATE_RESERVED' } }],
  ['ListReservations', { networkId: 'red' }, { reservations: [RESERVED, { address: '10.0.0.11' }] }],
  [
    'UpdateReservation',
    { key: { address: RESERVED }, reservation: { hostname: 'web' }, updateMask: 'hostname' },
    { reservation: { hostname: 'web' } },
  ],
  ['ReleaseAddress', RESERVED, { reservation: { state: 'RESERVATION_STATE_QUARANTINED' } }],
  ['BatchReleaseAddresses', { requests: [{ subnetId: 'a', address: '10.0.0.11' }] }, { results: [{ response: {} }] }],
  ['ListAddressHistory', RESERVED, { tenures: [RESERVED] }],
  ['ListAuditEvents', { networkId: 'red', pageSize: 1 }, { events: [{ method: 'ReleaseAddress' }] }],
  ['ListHosts', { networkId: 'red' }, { hosts: [{ hostId: 'h1' }] }],
  ['GetHost', { hostId: 'h1' }, { host: { liveness: 'HOST_LIVENESS_UP' } }],
  ['UpdateHost', { host: { hostId: 'h1', labels: { rack: '7' } } }, { host: { labels: { rack: '7' } } }],
  ['ListPlacements', { networkId: 'red' }, { placements: [{ hostId: 'h1' }] }],
  ['RebalancePlacements', { validateOnly: true }, {}],
  ['GetStatus', {}, { counts: { networks: '1' } }],
  ['DeleteSubnet', { subnetId: 'a' }, {}],
  ['DeleteNetwork', { networkId: 'red' }, {}],
];
const WHEN_GONE: typeof CALLS = [
  ['FenceHost', { hostId: 'h1', reason: 'power is off' }, { host: { fence: { reason: 'power is off' } } }],
  ['DeleteHost', { hostId: 'h1' }, {}],
];
const STREAMED = ['WatchEvents'];

describe.each(tools.map((tool) => [tool.name, tool] as const))('%s', (_, tool) => {
  let place: ApiPlace;
  let client: ReflectionClient;

  beforeAll(async () => {
    place = await serverPlace();
    client = reflectionClient(tool, place.address);
  });

  afterAll(() => place?.remove());

  test('knows the services, and what is tried here is every method', { timeout: PATIENCE_MS }, async () => {
    expect(await client.services()).toEqual(expect.arrayContaining([SERVICE, 'grpc.health.v1.Health']));
    const tried = [...CALLS, ...WHEN_GONE].map(([rpc]) => rpc);
    const methods = await client.methods(SERVICE);
    expect(methods.toSorted()).toEqual([...tried, ...STREAMED].map((rpc) => `${SERVICE}/${rpc}`).toSorted());
  });

  test('is answered by every method', { timeout: PATIENCE_MS }, async () => {
    const host = await place.addHost('h1', ['red']);
    await using watching = client.open(`${SERVICE}/WatchEvents`, { snapshot: true });
    await watching.waitForLine('h1');
    for (const [rpc, request, answered] of CALLS) await expectAnswer(client, rpc, request, answered);
    await watching.waitForLine('RESERVATION_STATE_QUARANTINED');
    await host.stop();
    for (const [rpc, request, answered] of WHEN_GONE) {
      await eventually('the host is known to be gone', async () => {
        const answer = await client.call(`${SERVICE}/${rpc}`, request);
        if (answer.ok) expect(answer.body).toMatchObject(answered);
        return answer.ok;
      });
    }
  });

  test('is told the reason of a refusal', { timeout: PATIENCE_MS }, async () => {
    const answer = await client.call(`${SERVICE}/GetNetwork`, { networkId: 'nowhere' });
    expect(answer).toMatchObject({ ok: false, status: status.NOT_FOUND });
    expect(answer).toMatchObject({ told: expect.stringMatching(/There is no network nowhere/) as string });
  });

  test('is told that the service is well', { timeout: PATIENCE_MS }, async () => {
    const answer = await client.call('grpc.health.v1.Health/Check', { service: SERVICE });
    expect(answer).toEqual({ ok: true, body: { status: 'SERVING' } });
  });

  test("is told the same by the SDK's fake server", { timeout: PATIENCE_MS }, async () => {
    const fake = await fakePlace();
    try {
      const other = reflectionClient(tool, fake.address);
      expect(await other.services()).toEqual(await client.services());
      expect(await other.methods(SERVICE)).toEqual(await client.methods(SERVICE));
      expect(await other.call(`${SERVICE}/GetStatus`, {})).toMatchObject({
        ok: true,
        body: { store: { kind: 'memory' } },
      });
    } finally {
      await fake.remove();
    }
  });
});

/** Placements follow a moment later. */
async function expectAnswer(client: ReflectionClient, rpc: string, request: object, answered: object): Promise<void> {
  const call = () => client.call(`${SERVICE}/${rpc}`, request);
  const answer = await (rpc === 'ListPlacements'
    ? eventually('it is placed', async () => hasSome(await call()))
    : call());
  expect(answer, `${rpc}: ${JSON.stringify(answer)}`).toMatchObject({ ok: true, body: answered });
}

function hasSome<A extends { readonly ok: boolean }>(answer: A): A | undefined {
  return JSON.stringify(answer).includes('hostId') ? answer : undefined;
}
