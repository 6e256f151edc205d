// Two servers on one MongoDB that know each other, their engine and their agents by certificates, on a network of their own: what
// one asks the other on behalf of a caller is done in that one's name, and agents follow the lead.

import { connect, type Leasehold } from '@leasehold/sdk';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { hasMongod } from '../../support/mongod-binary.js';
import { refusalOf } from '../../support/refusal.js';
import { sharedReplicaSet } from '../../support/shared-replica-set.js';
import type { TestServer } from '../../support/test-server.js';
import { hasTool } from '../../support/tools.js';
import { runUdhcpc } from '../../support/udhcpc.js';

const ENGINE = 'engine/ovirt';
const FIRST = '52:54:00:00:23:01';
const SECOND = '52:54:00:00:23:02';

describe.skipIf(!((await hasMongod()) && (await hasTool('nft'))))('two servers that speak TLS', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  const clients: Leasehold[] = [];
  let ours: TestAuthority;
  let cluster: Cluster;
  let hosts: readonly [TestHost, TestHost];
  let leader: TestServer;
  let follower: TestServer;
  /** The engine's client of the server that does not lead at first. */
  let leasehold: Leasehold;

  const clientOf = async (server: TestServer, who: string) => {
    const { certificate: cert, key } = await ours.issue(who);
    const client = connect({ server: `${server.machine.address}:7067`, tls: { ca: ours.pem, cert, key } });
    clients.push(client);
    return client;
  };
  const doneTo = async (resourceId: string) => {
    const events = await leasehold.audit.list().toArray();
    const about = events.filter((event) => event.resourceId === resourceId);
    return about.map(({ method, caller }) => `${method} ${caller}`);
  };

  beforeAll(async () => {
    ours = await TestAuthority.make();
    const store = mongo.freshUri();
    cluster = await Cluster.startSeveral({ store, servers: 2, overNetwork: true, authority: ours });
    const [one, two = one] = cluster.servers;
    [leader, follower] = [one, two];
    leasehold = await clientOf(follower, ENGINE);
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
    hosts = [await cluster.host('h1', ['red']), await cluster.host('h2', ['red'])];
    await servingHosts(leasehold, 'red', 1);
  });

  afterAll(async () => {
    for (const client of clients) await client.close();
    await cluster[Symbol.asyncDispose]();
  });

  test('what is passed on to the one that leads is done in the name of the engine that asked', async () => {
    expect((await leasehold.status()).holder).toMatchObject({ isSelf: false });
    const { reservation, ready } = await leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac: FIRST,
      waitReady: {},
    });
    expect([ready, reservation.createdBy]).toEqual([true, ENGINE]);
    expect((await runUdhcpc(await cluster.guest('red', 'vm1', FIRST)))?.ip).toBe(reservation.address);
    expect(await doneTo(reservation.reservationId)).toEqual([`ReserveAddress ${ENGINE}`]);
    // Only the one that leads does this, and it writes whose deed it was.
    await hosts[1].killAgent();
    await eventually('h2 is not connected', async () => (await leasehold.hosts.get('h2')).liveness === 'down');
    expect((await leasehold.hosts.fence('h2', 'pulled its plug')).fence).toMatchObject({ fencedBy: ENGINE });
    expect(await doneTo('h2')).toEqual([`FenceHost ${ENGINE}`]);
    const told = leader.process.lines.filter(({ fields }) => fields['method'] === 'FenceHost');
    expect(told.map(({ fields }) => fields['caller'])).toEqual([ENGINE]);
    await hosts[1].startAgent();
  });

  test('a viewer gets no further by a server that would pass its call on', async () => {
    const viewer = await clientOf(follower, 'viewer/ann');
    expect((await viewer.hosts.list().toArray()).map(({ hostId }) => hostId)).toEqual(['h1', 'h2']);
    const refused = await refusalOf(viewer.hosts.fence('h2', 'for fun'));
    expect(refused).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await doneTo('h2')).toEqual([`FenceHost ${ENGINE}`]);
  });

  test('when the one that leads is killed the other takes over, agents come to it, and a guest is served', async () => {
    await leader.kill();
    await eventually('the other one leads', async () => (await leasehold.status()).holder?.isSelf, 20_000);
    await eventually('agents are with it', async () => {
      return (await leasehold.hosts.list().toArray()).every(({ liveness }) => liveness === 'up');
    });
    const { reservation } = await eventually('a host confirms', async () => {
      const result = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: SECOND, waitReady: {} });
      return result.ready && result;
    });
    expect((await runUdhcpc(await cluster.guest('red', 'vm2', SECOND)))?.ip).toBe(reservation.address);
    await leasehold.reservations.release({ reservationId: reservation.reservationId, guestStopped: true });
    const deeds = [`ReleaseAddress ${ENGINE}`, `ReserveAddress ${ENGINE}`];
    expect(await doneTo(reservation.reservationId)).toEqual(deeds);
    const callers = (await leasehold.audit.list().toArray()).map(({ caller }) => caller);
    expect(new Set(callers)).toEqual(new Set([ENGINE]));
  });

  test('an agent that asks the one that follows by now goes to the one that leads', async () => {
    await leader.start();
    const [host] = hosts;
    await host.killAgent();
    await host.startAgent();
    const about = (server: TestServer, text: string) =>
      host.agent.waitForLine((line) => line.fields['server'] === server.agentEndpoint && line.text.includes(text));
    await about(leader, 'leads, ask it');
    await about(follower, 'Connected');
    const other = await clientOf(leader, ENGINE);
    const result = await eventually('its host confirms, by the server that follows', async () => {
      const answer = await other.reservations.reserve({ subnetId: 'red-a', mac: SECOND, waitReady: {} });
      return answer.ready && answer;
    });
    expect((await runUdhcpc(await cluster.guest('red', 'vm3', SECOND)))?.ip).toBe(result.reservation.address);
  });
});
