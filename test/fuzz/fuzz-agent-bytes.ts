// Agents in processes of their own, to which their servers send bytes: they must stay up, remember nothing of it, keep their
// tables, and serve again when the true server is back.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { defectsOf, type FuzzOptions, type FuzzReport, GROWTH_MB, residentMb, SMALL_HEAP } from './fuzz-server.js';
import { HostileServer } from './hostile-server.js';

/** The name of the attack. */
export const AGENT_BYTES = 'agent-bytes';

// Of two seconds that an agent takes for an input on the average most is keepalive, after which it leaves a connection whose
// frames it cannot follow any more: so some take inputs at once.
const HOSTS = ['h1', 'h2', 'h3', 'h4'];
// Each in turn is dialled after a tenth of a second at most; only after all of them an agent waits for longer.
const SERVERS = 64;
// Far longer than keepalive and the longest wait.
const NEXT_WITHIN_MS = 60_000;
const MAC = '52:54:00:00:24:01';
const LATER = '52:54:00:00:24:02';

/** Attacks the agents of hosts of its own, within a sandbox. */
export async function fuzzAgentBytes({ inputs, seed, progress }: FuzzOptions): Promise<FuzzReport> {
  await using cluster = await Cluster.start();
  const leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red', dhcpServerCount: HOSTS.length });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
  const reserve = (mac: string) =>
    leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: { servers: HOSTS.length } });
  const others = Array.from({ length: SERVERS - 1 }, (_, n) => join(cluster.directory, `hostile-${n}.sock`));
  const hosts = await startHosts(cluster, others);
  await servingHosts(leasehold, 'red', HOSTS.length);
  await reserve(MAC);
  const before = hosts.map(tablesOf);
  await cluster.servers[0].kill();
  const hostile = await HostileServer.listen([cluster.agentEndpoint.slice('unix:'.length), ...others], seed);
  const isUp = () => hosts.every(({ agent }) => agent.exitCode === undefined);
  const untilSent = async (count: number) => {
    while (hostile.sent < count && isUp()) {
      const seen = hostile.sent;
      await eventually('the next input', async () => hostile.sent > seen || !isUp(), NEXT_WITHIN_MS);
      progress?.(hostile.sent);
    }
  };
  await untilSent(Math.ceil(inputs / 2));
  const settledMb = isUp() ? memoryOf(hosts) : 0;
  await untilSent(inputs);
  const { sent: total, answered } = hostile;
  await hostile[Symbol.asyncDispose]();
  const problems = hosts.flatMap(({ agent }) => defectsOf(agent));
  const sent = new Map([[AGENT_BYTES, total]]);
  if (!isUp()) {
    const exits = hosts.map(({ hostId, agent }) => `${hostId}: ${agent.exitCode ?? 'up'}`).join(', ');
    return { sent, settledMb, residentMb: 0, problems: [...problems, `An agent exited (${exits})`] };
  }
  if (answered < total / 3) problems.push(`Of ${total} connections only ${answered} were asked for a session`);
  if (hosts.some((host, n) => tablesOf(host) !== before[n])) problems.push('A table is not what it was');
  const now = memoryOf(hosts);
  if (now - settledMb > GROWTH_MB) problems.push(`An agent grew from ${settledMb} to ${now} MB`);
  await cluster.startServer();
  await eventually('the hosts serve again', async () => (await reserve(LATER)).ready);
  return { sent, settledMb, residentMb: now, problems };
}

async function startHosts(cluster: Cluster, others: readonly string[]): Promise<readonly TestHost[]> {
  const hosts: TestHost[] = [];
  for (const hostId of HOSTS) {
    const args = others.flatMap((path) => ['--server', `unix:${path}`]);
    const host = await cluster.idleHost(hostId, ['red'], args);
    await host.startAgent([], SMALL_HEAP.env);
    hosts.push(host);
  }
  return hosts;
}

/** Of the largest agent. */
function memoryOf(hosts: readonly TestHost[]): number {
  return Math.max(...hosts.map(({ agent }) => residentMb(agent)));
}

/** What is on the disk of a host of what it may answer with. */
function tablesOf({ stateDirectory }: TestHost): string {
  const hash = createHash('sha256');
  const names = readdirSync(stateDirectory).filter((name) => /\.(table|journal|corrupt)$/.test(name));
  for (const name of names.toSorted()) hash.update(`${name}\n`).update(readFileSync(join(stateDirectory, name)));
  return `${names.length} ${hash.digest('hex')}`;
}
