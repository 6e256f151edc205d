// The command line, run in the process of the test. Not published.

import { run } from '../cli/run.js';
import { fakeRuntime } from './fake-runtime.js';
import {
  NOON,
  wireChanges,
  wireHost,
  wireNetwork,
  wirePlacement,
  wireReservation,
  wireSnapshot,
  wireStatus,
  wireSubnet,
  wireTenure,
} from './samples.js';
import { aborted, type Handlers, startScriptedServer } from './scripted-server.js';

/** What came of a run. */
interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process; Ctrl-C is pressed when it has printed `lines` lines. */
export async function leasehold(
  line: readonly string[] | string,
  env: Record<string, string> = {},
  lines = 1,
): Promise<Result> {
  let stdout = '';
  let stderr = '';
  const interrupt = new AbortController();
  const io = {
    runtime: fakeRuntime(env),
    version: '1.2.3',
    stdout: (text: string) => {
      stdout += text;
      if (stdout.split('\n').length > lines) interrupt.abort();
    },
    stderr: (text: string) => {
      stderr += text;
    },
    interrupted: () => interrupt.signal,
  };
  const code = await run(typeof line === 'string' ? line.split(' ') : line, io);
  return { code, stdout, stderr };
}

/** Starts a server and runs command lines against it. */
export async function withServer(handlers: Handlers) {
  const fake = await startScriptedServer(handlers);
  const env = { LEASEHOLD_SERVER: fake.server };
  return {
    requests: fake.requests,
    run: (line: readonly string[] | string, more: Record<string, string> = {}, lines?: number) =>
      leasehold(line, { ...env, ...more }, lines),
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

/** Answers everything with the samples. */
export const EVERYTHING: Handlers = {
  createNetwork: () => ({ network: wireNetwork }),
  getNetwork: () => ({ network: wireNetwork }),
  listNetworks: () => ({ networks: [wireNetwork] }),
  updateNetwork: () => ({ network: wireNetwork }),
  deleteNetwork: () => ({}),
  createSubnet: () => ({ subnet: wireSubnet }),
  getSubnet: () => ({ subnet: wireSubnet }),
  listSubnets: () => ({ subnets: [wireSubnet, { ...wireSubnet, subnetId: 'b', gateway: undefined }] }),
  updateSubnet: () => ({ subnet: wireSubnet }),
  deleteSubnet: () => ({}),
  reserveAddress: () => ({ reservation: wireReservation, created: true, ready: true, readyServers: 2 }),
  releaseAddress: () => ({ reservation: { ...wireReservation, state: 2 } }),
  getReservation: () => ({ reservation: wireReservation }),
  listReservations: () => ({ reservations: [wireReservation] }),
  updateReservation: () => ({ reservation: wireReservation }),
  listAddressHistory: () => ({ tenures: [wireReservation, wireTenure] }),
  getHost: () => ({ host: wireHost }),
  listHosts: () => ({ hosts: [wireHost] }),
  updateHost: () => ({ host: wireHost }),
  deleteHost: () => ({}),
  fenceHost: () => ({
    host: { ...wireHost, liveness: 3, fence: { reason: 'dead', fencedBy: 'insecure', time: NOON } },
  }),
  listPlacements: () => ({ placements: [wirePlacement] }),
  rebalancePlacements: () => ({ moves: [{ networkId: 'red', fromHostId: 'h1', toHostId: 'h2' }] }),
  async *watchEvents({ snapshot }, _, ended) {
    yield* snapshot ? [...wireSnapshot, ...wireChanges] : wireChanges;
    await aborted(ended);
  },
  getStatus: () => wireStatus,
};
