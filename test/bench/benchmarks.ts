// All benchmarks, in the order in which they run.

import { agents, agentsByTls } from './agents.js';
import type { Benchmark } from './benchmark.js';
import { changeToAgents } from './change-to-agents.js';
import { dhcpPeers } from './dhcp-peers.js';
import { failover } from './failover.js';
import { fill, mongodbFill } from './fill.js';
import { firstOffer } from './first-offer.js';
import { fixedBody } from './fixed-body.js';
import { flood } from './flood.js';
import { goIpam } from './go-ipam.js';
import { mongodbReserve } from './mongodb-reserve.js';
import { planning } from './plan.js';
import { reserve } from './reserve.js';
import { responder } from './responder.js';
import { sdkReserve } from './sdk-reserve.js';
import { snapshot } from './snapshot.js';
import { mongodbStart, start } from './start.js';
import { twoServers } from './two-servers.js';

/** See the top of the file. */
export const BENCHMARKS: readonly Benchmark[] = [
  reserve,
  sdkReserve,
  mongodbReserve,
  fill,
  mongodbFill,
  twoServers,
  start,
  mongodbStart,
  fixedBody,
  firstOffer,
  responder,
  dhcpPeers,
  snapshot,
  planning,
  flood,
  agents,
  agentsByTls,
  changeToAgents,
  failover,
  goIpam,
];

/** Those that are named; without a name, all that need not be. */
export function selectBenchmarks(only: readonly string[]): readonly Benchmark[] {
  return BENCHMARKS.filter(({ name, onlyByName }) => (only.length > 0 ? only.includes(name) : !onlyByName));
}
