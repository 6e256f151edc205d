// The control plane, put together from its parts: everything but the operating system and the wire. main.ts runs it on
// real ones; simulations run it in virtual time.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { AgentSessions } from './adapters/agents/agent-sessions.js';
import type { Context } from './app/context.js';
import { Deployment, tellSlot } from './app/deployment.js';
import { Fleet } from './app/fleet.js';
import { hostStatus } from './app/host-status.js';
import { Hosts } from './app/hosts.js';
import { Manager } from './app/manager.js';
import { networkStatus } from './app/network-status.js';
import { Networks } from './app/networks.js';
import { Placements } from './app/placements.js';
import { Reclaimer } from './app/reclaimer.js';
import { Release } from './app/release.js';
import { Reserve } from './app/reserve.js';
import { type ServerIdentity, Status } from './app/status.js';
import { Subnets } from './app/subnets.js';
import { View } from './app/view.js';
import type { MakeBreaker } from './ports/breaker.js';
import type { Store } from './ports/store.js';
import type { UseCases } from './transport/ipam-service.js';

/** What a control plane runs on. */
export interface ControlPlaneOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly makeBreaker: MakeBreaker;
  readonly identity: ServerIdentity;
}

/** A control plane that runs. */
export interface ControlPlane {
  /** What IpamService serves. */
  readonly useCases: UseCases;
  /** Where agents' streams go. */
  readonly agents: AgentSessions;
  /** Ends the sessions and the background work; the store stays open. */
  stop(): Promise<void>;
}

// A host that is well confirms within milliseconds; half of the time in which a dead one is noticed anyway.
const COMMAND_TIMEOUT_MS = 5_000;

/** Starts a control plane. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, clock, entropy, log, makeBreaker } = options;
  const agents = new AgentSessions({
    clock,
    log,
    settings: store.settings,
    lease: store.lease,
    // The directory needs the view, and the view is filled through the sessions: both are there before an agent is.
    directory: { reported: (report) => hosts.reported(report) },
    heartbeatIntervalMs: () => fleet.intervalMs,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  });
  const view = await View.open(store, clock, entropy, [(change) => tellSlot(agents, change)]);
  const context: Context = { store, view, hosts: agents, clock, entropy, log };
  const hosts = new Hosts(context);
  const fleet = new Fleet({ view, observer: agents, clock, makeBreaker });
  const manager = new Manager(context, fleet, new Deployment({ view, provider: agents, observer: agents, fleet, log }));
  const reclaimer = new Reclaimer(context);
  await manager.start();
  reclaimer.start();
  const useCases: UseCases = {
    context,
    networks: new Networks(context),
    subnets: new Subnets(context),
    reserve: new Reserve(context),
    release: new Release(context),
    hosts,
    placements: new Placements(context, fleet),
    status: new Status(context, fleet, manager, options.identity),
    networkStatus: (network) => networkStatus(context, fleet, manager, network),
    hostStatus: (host) => hostStatus(fleet, clock, host),
  };
  const stop = async () => {
    agents.close();
    await Promise.all([manager.stop(), reclaimer.stop()]);
    fleet.close();
    view.close();
  };
  return { useCases, agents, stop };
}
