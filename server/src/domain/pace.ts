// How fast agents are let in and speak: what a server dictates, so that ten thousand of them do not melt it.
//
//   A1. What a server dictates is counted in hosts; with up to SMALL of them nothing is slowed: they fit into what is let in
//       within seconds anyway, and a failover must not wait for a spread.
//   A2. A host that had no time to come back yet is not taken for dead: whoever judges counts spread and letting in.

/** So many new connections of agents are taken a second: with TLS one costs 2.5 ms, and hellos and tables come on top. */
export const ACCEPTED_PER_S = 250;
/** So many are taken at once: a quarter of a second of handshakes. */
export const ACCEPTED_AT_ONCE = 100;

const SMALL_HOSTS = 500;
const MIN_INTERVAL_MS = 1_000;
// So many heartbeats a second cost a server a few percent of a core (facts: Neutron's 4 s for all melted at scale).
const MAX_HEARTBEATS_PER_S = 500;
// Fewer than are let in, so that few wait there: what waits may be given up by its agent.
const SPREAD_PER_S = 200;
// Every host that is added would dictate anew otherwise.
const STEP_MS = 100;

/** What a server dictates to agents. */
export interface Pace {
  /** How often each sends a heartbeat. */
  readonly intervalMs: number;
  /** How far they spread their first attempts after their streams broke. */
  readonly spreadMs: number;
}

/** What is dictated to each of `hosts` agents. */
export function paceOf(hosts: number): Pace {
  return {
    intervalMs: Math.max(MIN_INTERVAL_MS, toStep((hosts / MAX_HEARTBEATS_PER_S) * 1_000)),
    spreadMs: toStep((hosts / SPREAD_PER_S) * 1_000 * spreadShare(hosts)),
  };
}

/** From nothing with a few hosts to everything with twice as many: one host more is no leap. */
function spreadShare(hosts: number): number {
  return Math.min(1, Math.max(0, hosts - SMALL_HOSTS) / SMALL_HOSTS);
}

/** How long it takes to let in so many connections that come at once. */
export function lettingInMs(connections: number): number {
  return (Math.max(0, connections - ACCEPTED_AT_ONCE) / ACCEPTED_PER_S) * 1_000;
}

/** How much longer than a few agents so many need until all were let in after a start: their spread, and the waits of all. */
export function allBackMs(hosts: number): number {
  return paceOf(hosts).spreadMs + (Math.max(0, hosts - SMALL_HOSTS) / ACCEPTED_PER_S) * 1_000;
}

function toStep(ms: number): number {
  return Math.ceil(ms / STEP_MS) * STEP_MS;
}
