// The generator's process: see load.ts.

import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { percentile } from './benchmark.js';
import { childArgument, childResult } from './child.js';
import { type Load, macOf } from './load.js';

// The server allows 100.
const STREAMS_PER_CONNECTION = 64;

const load = childArgument<Load>();
const { endpoint, subnetId, firstMac, count, outstanding } = load;
const headers = {
  [constants.HTTP2_HEADER_METHOD]: 'POST',
  [constants.HTTP2_HEADER_PATH]: '/ipam.v1.IpamService/ReserveAddress',
  'content-type': 'application/grpc',
  te: 'trailers',
};
// Encoded before the clock starts.
const bodies = Array.from({ length: count }, (_, i) => frame({ subnetId, mac: macOf(firstMac + i) }));
const latencies: number[] = [];
const ends: number[] = [];
let sent = 0;
let startedMs = 0;
let startedCpu = process.cpuUsage();

function frame(request: { readonly subnetId: string; readonly mac: string }): Buffer {
  const message = ReserveAddressRequest.encode(ReserveAddressRequest.fromPartial(request)).finish();
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function next(session: ClientHttp2Session): void {
  const body = bodies[sent++];
  if (!body) return;
  const askedMs = performance.now();
  const stream = session.request(headers);
  let status: unknown;
  const read = (fields: IncomingHttpHeaders) => {
    status ??= fields['grpc-status'];
  };
  // A refusal comes without a message: its status is in the headers.
  stream.on('response', read);
  stream.on('trailers', read);
  stream.on('error', (error) => fail(error.message));
  stream.on('end', () => {
    if (status !== '0') fail(`A call ended with status ${String(status)}`);
    const now = performance.now();
    latencies.push(now - askedMs);
    ends.push(now);
    if (ends.length === count) finish();
    else next(session);
  });
  stream.resume();
  stream.end(body);
}

function finish(): void {
  const cpu = process.cpuUsage(startedCpu);
  const endOf = (tenth: number) =>
    tenth === 0 ? startedMs : (ends[Math.ceil((count * tenth) / 10) - 1] ?? Number.NaN);
  childResult({
    seconds: (endOf(10) - startedMs) / 1_000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    decileSeconds: Array.from({ length: 10 }, (_, i) => (endOf(i + 1) - endOf(i)) / 1_000),
  });
  process.exit(0);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

const sessions = Array.from({ length: Math.ceil(outstanding / STREAMS_PER_CONNECTION) }, () =>
  connect(`http://${endpoint}`),
);
for (const session of sessions) session.on('error', (error) => fail(error.message));
await Promise.all(sessions.map((session) => new Promise((resolve) => session.once('remoteSettings', resolve))));
startedMs = performance.now();
startedCpu = process.cpuUsage();
for (let i = 0; i < outstanding; i++) next(sessions[i % sessions.length] as ClientHttp2Session);
