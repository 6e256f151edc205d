// The process of an engine: see sdk-reserve.ts.

import { credentials } from '@grpc/grpc-js';
import { IpamServiceClient, ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { connect } from '@leasehold/sdk';
import { doTasks } from './child.js';
import { macOf } from './load.js';
import type { EngineLoad, EngineResult } from './sdk-reserve.js';

doTasks(run);

async function run({ by, server, subnetId, firstMac, count, outstanding }: EngineLoad): Promise<EngineResult> {
  const { reserve, close } = by === 'sdk' ? ofSdk(server, subnetId) : ofGrpc(server, subnetId);
  // Connected before the clock starts.
  await reserve(macOf(firstMac));
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  let asked = 1;
  const one = async () => {
    while (asked < count) await reserve(macOf(firstMac + asked++));
  };
  await Promise.all(Array.from({ length: outstanding }, one));
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  await close();
  return { perSecond: (count - 1) / seconds, cpuPerCallUs: (cpu.user + cpu.system) / (count - 1) };
}

interface Engine {
  reserve(mac: string): Promise<unknown>;
  close(): Promise<void>;
}

function ofSdk(server: string, subnetId: string): Engine {
  const leasehold = connect(server);
  const subnet = leasehold.subnet(subnetId);
  return { reserve: (mac) => subnet.reserve(mac), close: () => leasehold.close() };
}

/** What everybody would write with the generated client. */
function ofGrpc(server: string, subnetId: string): Engine {
  const client = new IpamServiceClient(server, credentials.createInsecure());
  return {
    reserve: (mac) =>
      new Promise((resolve, reject) => {
        const request = ReserveAddressRequest.fromPartial({ subnetId, mac });
        client.reserveAddress(request, (error, response) => (error ? reject(error) : resolve(response)));
      }),
    close: async () => client.close(),
  };
}
