// Benchmark `fixed-body`: the same request again and again by h2load, an independent and faster generator. It cannot vary
// the request, so a reserve is answered with the reservation that exists; it does not look at the status of gRPC, so
// the server is asked afterwards what came of it. Calls for one MAC wait for one another, and here all calls are for one.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetStatusRequest, ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { run as runCommand, runOrThrow } from '../support/run.js';
import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { macOf } from './load.js';
import { createSubnet, EMPTY, expectReserved, SERVER, startEmptyServer, startServer } from './target.js';

const ROUNDS = 5;
const CALLS = 20_000;

/** See the top of the file. */
export const fixedBody: Benchmark = {
  name: 'fixed-body',
  summary: 'by h2load: an idempotent ReserveAddress and GetStatus against an empty unary handler',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  if ((await runCommand('h2load', ['--version'])).code !== 0) {
    progress('not run: there is no h2load here (apt-get install nghttp2-client)');
    return [];
  }
  await using cluster = await startServer();
  await using _empty = await startEmptyServer();
  const leasehold = cluster.client();
  await createSubnet(leasehold, 'bench', 0);
  const reserveBody = ReserveAddressRequest.encode(
    ReserveAddressRequest.fromPartial({ subnetId: 'bench', mac: macOf(1) }),
  );
  const statusBody = GetStatusRequest.encode(GetStatusRequest.fromPartial({}));
  const files = { reserve: join(cluster.directory, 'reserve.bin'), status: join(cluster.directory, 'status.bin') };
  writeFileSync(files.reserve, framed(reserveBody.finish()));
  writeFileSync(files.status, framed(statusBody.finish()));

  const rates = { empty: [] as number[], reserve: [] as number[], status: [] as number[] };
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const empty = await h2load(EMPTY, 'ReserveAddress', files.reserve);
    const reserve = await h2load(SERVER, 'ReserveAddress', files.reserve);
    const status = await h2load(SERVER, 'GetStatus', files.status);
    progress(`round ${round} of ${ROUNDS}: empty ${empty}/s, reserve ${reserve}/s, status ${status}/s`);
    if (round === 0) continue;
    rates.empty.push(empty);
    rates.reserve.push(reserve);
    rates.status.push(status);
  }
  await expectReserved(leasehold, 'bench', 1);
  return [
    { name: 'repeated reserve : empty, by h2load', ...middle(ratios(rates.reserve, rates.empty)), unit: 'x' },
    { name: 'GetStatus : empty, by h2load', ...middle(ratios(rates.status, rates.empty)), unit: 'x' },
    { name: 'empty, by h2load', ...middle(rates.empty), unit: 'calls/s' },
    { name: 'repeated reserve, by h2load', ...middle(rates.reserve), unit: 'calls/s' },
    { name: 'GetStatus, by h2load', ...middle(rates.status), unit: 'calls/s' },
  ];
}

function framed(message: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Calls per second. */
async function h2load(endpoint: string, method: string, body: string): Promise<number> {
  const shape = ['-n', String(CALLS), '-c', '2', '-m', '64', '-d', body];
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const output = await runOrThrow('h2load', [...shape, ...headers, `http://${endpoint}/ipam.v1.IpamService/${method}`]);
  const rate = /finished in [^,]+, ([\d.]+) req\/s/.exec(output)?.[1];
  if (rate === undefined || !output.includes(` ${CALLS} succeeded,`)) throw new Error(`h2load failed:\n${output}`);
  return Number(rate);
}
