// How a server ends when it is told to: in order the first time, at once the second.

import { once } from 'node:events';
import { Client, credentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { traceLines } from '../support/processes.js';
import { refusalOf } from '../support/refusal.js';

test('SIGTERM ends it in order: a call that waits is ended, the exit code is 0, and the next server finds the reservation', async () => {
  await using cluster = await Cluster.start();
  const { waiting, made } = await waitForNobody(cluster);
  expect(await cluster.server.stop()).toBe(0);
  expect(traceLines(cluster.server.lines)).toEqual([]);
  expect(await waiting).toMatchObject({ code: 'UNAVAILABLE' });
  await cluster.startServer();
  expect(await cluster.client().reservations.get({ reservationId: made.reservationId })).toEqual(made);
});

test('a second SIGTERM ends it at once, whatever is under way', async () => {
  await using cluster = await Cluster.start();
  using _stream = await openStream(cluster.apiEndpoint);
  cluster.server.signal('SIGTERM');
  await cluster.server.waitForLine('Draining');
  cluster.server.signal('SIGTERM');
  expect(await cluster.server.exited).toBe(1);
  expect(cluster.server.lines.at(-1)?.fields).toMatchObject({ msg: 'Second signal, exiting at once', level: 'warn' });
  expect(traceLines(cluster.server.lines)).toEqual([]);
});

/** A reservation, and a call that waits a minute for somebody to serve it. */
async function waitForNobody(cluster: Cluster) {
  const client = cluster.client();
  await client.networks.create({ networkId: 'red' });
  await client.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
  const reserve = { networkId: 'red', mac: '52:54:00:00:0b:01' };
  const { reservation } = await client.reservations.reserve(reserve);
  const options = { timeoutMs: 8_000 };
  const waiting = refusalOf(client.reservations.reserve({ ...reserve, waitReady: { timeoutMs: 60_000 } }, options));
  // On the same connection: when this is answered, the other one is under way.
  await client.networks.get('red');
  return { waiting, made: reservation };
}

/** A call that its client never ends: a drain gives it some seconds. */
async function openStream(endpoint: string): Promise<Disposable> {
  const client = new Client(endpoint, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const stream = client.makeBidiStreamRequest(path, same, same);
  stream.on('error', () => undefined);
  const listServices = Buffer.from([0x3a, 0]);
  stream.write(listServices);
  await once(stream, 'data');
  return { [Symbol.dispose]: () => client.close() };
}
