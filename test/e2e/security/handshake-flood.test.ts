// Hundreds of connections that never finish their handshake, each opened anew when it is closed, while engines go on being
// answered, and come anew, too.

import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { GetStatusRequest, IpamServiceClient } from '@leasehold/proto/ipam/v1/ipam_service';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { expect, test } from 'vitest';
import { Cluster } from '../../support/cluster.js';
import { WatchedProcess } from '../../support/processes.js';
import { repositoryRoot } from '../../support/repository.js';

const CONNECTIONS = 800;
const FLOODER = join(repositoryRoot, 'test/dist/support/idle-connections-program.js');
const TIMED_OUT = 'leasehold_tls_handshakes_failed_total{reason="timeout"}';
const BY_NAME = { 'grpc.ssl_target_name_override': 'localhost', 'grpc.use_local_subchannel_pool': 1 };

test('engines are answered through a flood of handshakes that never end, and those are ended', async () => {
  const ours = await TestAuthority.make();
  await using cluster = await Cluster.startOverNetwork([], ours);
  const [server] = cluster.servers;
  const shows = ours.dialling(await ours.issue('engine/ovirt'));
  const clients: IpamServiceClient[] = [];
  const dialled = () => {
    const client = new IpamServiceClient(`${server.machine.address}:7067`, shows, BY_NAME);
    clients.push(client);
    return client;
  };
  const old = dialled();
  await statusBy(old);

  const args = [FLOODER, server.machine.address, '7067', String(CONNECTIONS)];
  await using flooder = new WatchedProcess(process.execPath, args);
  // By then some were let in a second time.
  let seen = 0;
  let answers = 0;
  await flooder.waitForLine(({ fields }) => Number(fields['open']) > CONNECTIONS / 2);
  while (Number(flooder.lines.at(-1)?.fields['closed']) < 2 * CONNECTIONS) {
    await Promise.all([statusBy(old), statusBy(dialled())]);
    answers++;
    seen = Math.max(seen, (await server.metrics()).get('leasehold_tls_handshakes') ?? 0);
  }
  const metrics = await server.metrics();
  expect(seen).toBeGreaterThan(CONNECTIONS / 4);
  expect(metrics.get(TIMED_OUT)).toBeGreaterThan(CONNECTIONS);
  expect(answers).toBeGreaterThan(3);
  await flooder.kill();
  for (const client of clients) client.close();
});

/** Resolves when it is answered, well before engines give up. */
function statusBy(client: IpamServiceClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    client.getStatus(GetStatusRequest.fromPartial({}), new Metadata(), { deadline }, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
