// The generator's process: see load.ts.

import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { percentile } from './benchmark.js';
import { childArgument, childResult, cpuSeconds } from './child.js';
import { type Decile, type Load, type LoadResult, macOf } from './load.js';

// The server allows 100.
const STREAMS_PER_CONNECTION = 64;

const load = childArgument<Load>();
const { endpoint, subnetId, firstMac, count, outstanding, serverPid } = load;
const headers = {
  [constants.HTTP2_HEADER_METHOD]: 'POST',
  [constants.HTTP2_HEADER_PATH]: '/ipam.v1.IpamService/ReserveAddress',
  'content-type': 'application/grpc',
  te: 'trailers',
};
// Encoded before the clock starts.
const bodies = Array.from({ length: count }, (_, i) => frame({ subnetId, mac: macOf(firstMac + i) }));
const latencies: number[] = [];
// The start, and the end of every tenth.
const marks: { readonly ms: number; readonly serverCpuSeconds: number }[] = [];
let sent = 0;
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
  stream.on('error', (error: Error) => fail(error.message));
  stream.on('end', () => {
    if (status !== '0') fail(`A call ended with status ${String(status)}`);
    latencies.push(performance.now() - askedMs);
    if (latencies.length >= (count * marks.length) / 10) mark();
    if (latencies.length === count) finish();
    else next(session);
  });
  stream.resume();
  stream.end(body);
}

function mark(): void {
  marks.push({ ms: performance.now(), serverCpuSeconds: cpuSeconds(serverPid) });
}

function finish(): void {
  const cpu = process.cpuUsage(startedCpu);
  const deciles = marks.slice(1).map((end, i): Decile => {
    const start = marks[i] ?? end;
    return { seconds: (end.ms - start.ms) / 1_000, serverCpuSeconds: end.serverCpuSeconds - start.serverCpuSeconds };
  });
  const result: LoadResult = {
    seconds: deciles.reduce((sum, { seconds }) => sum + seconds, 0),
    serverCpuSeconds: deciles.reduce((sum, { serverCpuSeconds }) => sum + serverCpuSeconds, 0),
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    deciles,
  };
  childResult(result);
  process.exit(0);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

const sessions = Array.from({ length: Math.ceil(outstanding / STREAMS_PER_CONNECTION) }, () =>
  connect(`http://${endpoint}`),
);
for (const session of sessions) session.on('error', (error: Error) => fail(error.message));
await Promise.all(sessions.map((session) => new Promise((resolve) => session.once('remoteSettings', resolve))));
mark();
startedCpu = process.cpuUsage();
for (let i = 0; i < outstanding; i++) next(sessions[i % sessions.length] as ClientHttp2Session);
