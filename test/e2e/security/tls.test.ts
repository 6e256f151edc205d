// Real servers and agents that know each other by certificates, on a network of their own; guests notice nothing of it.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { HostAgentServiceClient } from '@leasehold/proto/ipam/v1/host_agent_service';
import { GetStatusRequest, type GetStatusResponse, IpamServiceClient } from '@leasehold/proto/ipam/v1/ipam_service';
import { SessionRequest, type SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { Leasehold } from '@leasehold/sdk';
import type { Credentials } from '@leasehold/server/adapters/pki/certificates';
import { TestAuthority, writeOver } from '@leasehold/server/testing/test-authority';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../../support/cluster.js';
import { runUdhcpc } from '../../support/udhcpc.js';

const MAC = '52:54:00:00:13:01';
// The library does not dial addresses by TLS without a complaint.
const BY_NAME = { 'grpc.ssl_target_name_override': 'localhost' };

describe('a cluster that speaks TLS', () => {
  let ours: TestAuthority;
  let cluster: Cluster;
  let leasehold: Leasehold;
  let host: TestHost;

  beforeAll(async () => {
    ours = await TestAuthority.make();
    cluster = await Cluster.startOverNetwork([], ours);
    leasehold = cluster.client();
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
    host = await cluster.host('h1', ['red']);
    await servingHosts(leasehold, 'red', 1);
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test('serves a guest, and says which of its listeners are without', async () => {
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
    expect(await runUdhcpc(await cluster.guest('red', 'vm1', MAC))).toMatchObject({ ip: reservation.address });
    const { insecureListeners, certificateEndTime } = await leasehold.status();
    expect({ insecureListeners, certificateEndTime }).toEqual({
      insecureListeners: [cluster.apiEndpoint],
      certificateEndTime: new Date('2100-01-01T00:00:00Z'),
    });
    const metrics = await cluster.servers[0].metrics();
    expect(metrics.get('leasehold_tls_certificate_end_seconds')).toBe(Date.parse('2100-01-01T00:00:00Z') / 1_000);
  });

  test('takes new certificates in while it runs, and a guest is served by the session that has them', async () => {
    const server = cluster.server;
    const [before, said] = [host.agent.lines.length, server.lines.length];
    // What does not fit is left alone, and the session goes on.
    rmSync(join(cluster.directory, 'h1', 'host.key'));
    await host.agent.waitForLine('TLS files are not used', before);
    writeOver(join(cluster.directory, 'h1'), 'host', await ours.issue('host/h1'));
    await host.agent.waitForLine('TLS files are read again', before);
    writeOver(
      cluster.directory,
      'server0',
      await ours.issue('server/s0', { ips: [cluster.servers[0].machine.address] }),
    );
    await server.waitForLine('TLS files are read again', said);
    expect(server.lines.slice(said).some(({ text }) => text.includes('agent session ended'))).toBe(false);
    await host.killAgent();
    await host.startAgent();
    await server.waitForLine('agent session began', said);
    await servingHosts(leasehold, 'red', 1);
    expect(await runUdhcpc(await cluster.guest('red', 'vm2', MAC))).toBeDefined();
  });

  test('an agent with the certificate of another host does not start, nor one that has none', async () => {
    const other = await cluster.idleHost('h2', ['red']);
    writeOver(join(cluster.directory, 'h2'), 'host', await ours.issue('host/h3'));
    await expect(other.startAgent()).rejects.toThrow(/--tls-cert .* the certificate is of host\/h3, not of host h2/);
    rmSync(join(cluster.directory, 'h2', 'host.crt'));
    await expect(other.startAgent()).rejects.toThrow(/--tls-cert .*host\.crt cannot be used: ENOENT/);
  });

  test('an agent believes no server of another CA, and says why', async () => {
    const theirs = await TestAuthority.make();
    const believing = await cluster.idleHost('h4', ['red']);
    writeOver(join(cluster.directory, 'h4'), 'ca', { certificate: theirs.pem, key: '' });
    await believing.startAgent();
    const { fields } = await believing.agent.waitForLine('No session with the control plane');
    expect(fields['reason']).toMatch(/certificate/);
    await believing.killAgent();
  });

  test('a host speaks for itself alone', async () => {
    const refused = await helloOf(cluster.agentEndpoint, ours, 'host/h1', 'h9');
    expect(refused).toMatchObject({
      code: status.PERMISSION_DENIED,
      details: 'host/h1 may not speak for host h9: its certificate is of host h1',
    });
    const welcomed = await helloOf(cluster.agentEndpoint, ours, 'host/h9', 'h9', 'red');
    // It has the network and a table of it by its own word, and is told to drop that, and nothing of what is in it.
    expect(welcomed).toEqual(['welcome', 'unassignment']);
  });

  test('a server that is asked without a certificate, or by a host, says so', async () => {
    const endpoint = `${cluster.servers[0].machine.address}:7067`;
    const clientOf = (shows: Credentials | undefined) => new IpamServiceClient(endpoint, ours.dialling(shows), BY_NAME);
    expect(await statusBy(clientOf(undefined))).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    expect(await statusBy(clientOf(await ours.issue('host/h1')))).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await statusBy(clientOf(await ours.issue('viewer/ann')))).toMatchObject({
      insecureListeners: [cluster.apiEndpoint],
    });
  });
});

function statusBy(client: IpamServiceClient): Promise<GetStatusResponse | ServiceError> {
  return closing(client, (resolve) =>
    client.getStatus(GetStatusRequest.fromPartial({}), new Metadata(), soon(), (error, answer) =>
      resolve(error ?? answer),
    ),
  );
}

/** How a session begins that says hello for a host: what it is told within the time of a heartbeat, or its refusal. */
async function helloOf(
  endpoint: string,
  authority: TestAuthority,
  shows: string,
  hostId: string,
  networkId?: string,
): Promise<readonly (string | undefined)[] | ServiceError> {
  const client = new HostAgentServiceClient(endpoint, authority.dialling(await authority.issue(shows)), BY_NAME);
  const call = client.session(new Metadata(), soon());
  const heard: SessionResponse[] = [];
  const attachments = networkId ? [{ networkId, interface: 'br-x', ready: true }] : [];
  const tables = networkId ? [{ networkId, networkUid: 'x', placementEpoch: 1n }] : [];
  return closing(client, (resolve) => {
    call.on('error', (error: ServiceError) => resolve(error));
    call.on('data', (response: SessionResponse) => {
      heard.push(response);
      const { message } = response;
      if (message?.$case === 'welcome') {
        const { sessionEpoch } = message.value;
        call.write(
          SessionRequest.fromPartial({ message: { $case: 'heartbeat', value: { sessionEpoch, sequence: 1n } } }),
        );
      } else if (message?.$case === 'heartbeatAck') {
        resolve(heard.map(kindOf).filter((kind) => kind !== 'heartbeatAck'));
      }
    });
    const hello = {
      hostId,
      agentInstance: 'a',
      bootId: 'b',
      agentVersion: '0',
      backend: 'builtin',
      last: true,
      attachments,
      tables,
    };
    call.write(SessionRequest.fromPartial({ message: { $case: 'hello', value: hello } }));
  });
}

function kindOf({ message }: SessionResponse): string | undefined {
  return message?.$case === 'delivery' ? message.value.action?.$case : message?.$case;
}

async function closing<T>(client: Client, run: (resolve: (result: T) => void) => void): Promise<T> {
  try {
    return await new Promise<T>(run);
  } finally {
    client.close();
  }
}

// Bounds what hangs.
const soon = () => ({ deadline: Date.now() + 20_000 });
