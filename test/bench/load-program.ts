// The generator's process: see load.ts.

import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { percentile } from './benchmark.js';
import { cpuSeconds, doTasks } from './child.js';
import { type Calls, type Load, type LoadResult, macOf } from './load.js';

// The server allows 100.
const STREAMS_PER_CONNECTION = 64;
const PATHS = {
  reserve: '/ipam.v1.IpamService/ReserveAddress',
  acquire: '/api.v1.IpamService/AcquireIP',
} as const;

doTasks(run);

async function run({ endpoints, calls, count, outstanding, serverPids }: Load): Promise<LoadResult> {
  const headers = {
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: PATHS[calls.kind],
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  // Encoded before the clock starts.
  const bodies = Array.from({ length: count }, (_, i) => frame(messageOf(calls, i)));
  const each = Math.max(1, Math.ceil(outstanding / endpoints.length / STREAMS_PER_CONNECTION));
  const sessions = Array.from({ length: each }, () =>
    endpoints.map((endpoint) => connect(`http://${endpoint}`)),
  ).flat();
  await Promise.all(sessions.map(connected));
  const serverCpu = () => serverPids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const serverCpuBefore = serverCpu();
  const startMs = performance.now();
  let sent = 0;
  const sendAll = async (session: ClientHttp2Session) => {
    for (let body = bodies[sent++]; body; body = bodies[sent++]) latencies.push(await call(session, headers, body));
  };
  await Promise.all(
    Array.from({ length: outstanding }, (_, i) => sendAll(sessions[i % sessions.length] as ClientHttp2Session)),
  );
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  const serverCpuSeconds = serverCpu() - serverCpuBefore;
  for (const session of sessions) session.close();
  return {
    seconds,
    serverCpuSeconds,
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    slowestMs: percentile(latencies, 1),
  };
}

function connected(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    session.once('remoteSettings', () => resolve());
  });
}

function messageOf(calls: Calls, i: number): Uint8Array {
  if (calls.kind === 'reserve') {
    const { subnetId, firstMac } = calls;
    return ReserveAddressRequest.encode(
      ReserveAddressRequest.fromPartial({ subnetId, mac: macOf(firstMac + i) }),
    ).finish();
  }
  // Field 1, a string.
  const cidr = Buffer.from(calls.cidr);
  return Buffer.concat([Buffer.from([0x0a, cidr.length]), cidr]);
}

function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** Makes a call; how long it took, in milliseconds. */
function call(session: ClientHttp2Session, headers: Readonly<Record<string, string>>, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const askedMs = performance.now();
    const stream = session.request(headers);
    let status: unknown;
    const read = (fields: IncomingHttpHeaders) => {
      status ??= fields['grpc-status'];
    };
    // A refusal comes without a message: its status is in the headers.
    stream.on('response', read);
    stream.on('trailers', read);
    stream.on('error', reject);
    stream.on('end', () => {
      if (status === '0') resolve(performance.now() - askedMs);
      else reject(new Error(`A call ended with status ${String(status)}`));
    });
    stream.resume();
    stream.end(body);
  });
}
