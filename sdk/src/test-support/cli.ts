// The command line, run in the process of the test. Not published.

import { run } from '../cli/run.js';
import { fakeRuntime } from './fake-runtime.js';
import {
  NOON,
  wireAudit,
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

/** Files that a run can read, those of the examples among them; a test may add its own. */
export const FILES: Record<string, string> = {
  'hosts.csv': 'mac,address\n52:54:00:aa:bb:cc,10.0.0.7\n52:54:00:aa:bb:cd,10.0.0.20\n',
  '/etc/dnsmasq.d/hosts.conf': 'dhcp-host=52:54:00:aa:bb:cc,10.0.0.7\n',
};

/** Runs a command line in this process; Ctrl-C is pressed when it has printed `lines` lines. */
export async function leasehold(
  line: readonly string[] | string,
  env: Record<string, string> = {},
  lines = 1,
  terminals: { readonly stdout?: boolean; readonly stderr?: boolean } = {},
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
    rows: () => (terminals.stdout ? 10 : undefined),
    terminals: { stdout: false, stderr: false, ...terminals },
    readText: async (path: string) => {
      const text = FILES[path];
      return text === undefined
        ? { ok: false as const, problem: `${path} cannot be read: ENOENT` }
        : { ok: true as const, value: text };
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
    server: fake.server,
    requests: fake.requests,
    calls: () => fake.calls,
    run: (line: readonly string[] | string, more: Record<string, string> = {}, lines?: number) =>
      leasehold(line, { ...env, ...more }, lines),
    /** The same with a person at a terminal. */
    runAtTerminal: (line: readonly string[] | string, more: Record<string, string> = {}, lines?: number) =>
      leasehold(line, { ...env, ...more }, lines, { stdout: true, stderr: true }),
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
  listSubnets: () => ({
    subnets: [wireSubnet, { ...wireSubnet, subnetId: 'b', cidr: '10.0.1.0/24', gateway: undefined }],
  }),
  updateSubnet: () => ({ subnet: wireSubnet }),
  deleteSubnet: () => ({}),
  reserveAddress: () => ({ reservation: wireReservation, created: true, ready: true, readyServers: 2 }),
  releaseAddress: () => ({ reservation: { ...wireReservation, state: 2 } }),
  batchReserveAddresses: ({ requests }) => ({
    results: requests.map(({ mac }) => ({
      result: { $case: 'response', value: { reservation: { ...wireReservation, mac }, created: true } },
    })),
  }),
  batchReleaseAddresses: ({ requests }) => ({
    results: requests.map(() => ({
      result: { $case: 'response', value: { reservation: { ...wireReservation, state: 2 } } },
    })),
  }),
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
  listAuditEvents: () => ({ events: wireAudit }),
  getStatus: () => wireStatus,
};
