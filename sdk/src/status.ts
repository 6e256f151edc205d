// The state of the installation: what it looks like to people, and how it travels.
//
// Whatever the server does not say is undefined and not an error: status is what one asks when things are broken.

import type { GetStatusResponse } from './gen/ipam/v1/ipam_service.js';
import type {
  Counts as WireCounts,
  HolderStatus as WireHolderStatus,
  StoreStatus as WireStoreStatus,
} from './gen/ipam/v1/status.js';
import { type BreakerState, toBreakerState } from './hosts.js';
import { toSeconds } from './values.js';

/** How the installation is. */
export interface Status {
  /** Version of the server that answers. */
  readonly version: string;
  /** Name of the server that answers. */
  readonly server: string;
  readonly startTime: Date | undefined;
  readonly store: StoreStatus | undefined;
  /** The server that leads. Undefined: there is none now. */
  readonly holder: HolderStatus | undefined;
  /** What keeps the manager from moving placements now. */
  readonly brakes: readonly Brake[];
  /** Listeners of this server that take calls without TLS. */
  readonly insecureListeners: readonly string[];
  readonly counts: Counts | undefined;
  /** How long an agent may answer without hearing from a server. */
  readonly authoritySeconds: number | undefined;
  /** What time it is by the clock of the server that answers. Undefined: an older server. */
  readonly time: Date | undefined;
  /** Until when the certificate of the server that answers is valid. Undefined: it speaks no TLS, or is an older server. */
  readonly certificateEndTime: Date | undefined;
}

/** The store behind a server. */
export interface StoreStatus {
  /** `embedded` or `mongodb`. */
  readonly kind: string;
  readonly uid: string;
  /** Grows when a store is restored or imported. */
  readonly incarnation: number;
  /** Unknown: this kind of store has no breaker. */
  readonly breaker: BreakerState;
  /** Since when it cannot be used. Undefined: it can. */
  readonly unavailableSince: Date | undefined;
}

/** The server that leads: it alone has agent sessions, plans placements and decides reuse. */
export interface HolderStatus {
  readonly server: string;
  /** Grows whenever another server, or the same one anew, takes the lead. */
  readonly epoch: number;
  /** Whether it is the server that answers. */
  readonly isSelf: boolean;
  /** Where engines and operators reach it. Empty: it did not say. */
  readonly advertise: string;
  /** Where agents reach it. Empty: it did not say. */
  readonly agentAdvertise: string;
}

/** Something that keeps the manager from moving placements. */
export interface Brake {
  /** `START`, `STALL`, `STORE`, `MASS_SILENCE`, `BUDGET` or `HOLD_STILL`. */
  readonly kind: string;
  /** Why, for people. */
  readonly reason: string;
  readonly since: Date | undefined;
}

/** How much there is. */
export interface Counts {
  readonly networks: number;
  readonly subnets: number;
  readonly reservations: number;
  readonly quarantined: number;
  readonly hosts: number;
  readonly hostsUp: number;
  /** Wanted placements. */
  readonly placements: number;
  /** Wanted placements whose live host confirmed that it answers. */
  readonly placementsServing: number;
}

/** The state of the installation as people see it. */
export function toStatus(wire: GetStatusResponse): Status {
  const { store, holder } = wire;
  return {
    version: wire.version,
    server: wire.server,
    startTime: wire.startTime,
    store: store && toStoreStatus(store),
    // A holder without a name is none.
    holder: holder?.server ? toHolderStatus(holder) : undefined,
    brakes: wire.brakes.map(({ kind, reason, since }) => ({ kind, reason, since })),
    insecureListeners: wire.insecureListeners,
    counts: wire.counts && toCounts(wire.counts),
    authoritySeconds: wire.authority && toSeconds(wire.authority),
    time: wire.time,
    certificateEndTime: wire.certificateEndTime,
  };
}

function toStoreStatus(wire: WireStoreStatus): StoreStatus {
  return {
    kind: wire.kind,
    uid: wire.uid,
    incarnation: Number(wire.incarnation),
    breaker: toBreakerState(wire.breaker),
    unavailableSince: wire.unavailableSince,
  };
}

function toHolderStatus(wire: WireHolderStatus): HolderStatus {
  return {
    server: wire.server,
    epoch: Number(wire.epoch),
    isSelf: wire.isSelf,
    advertise: wire.advertise,
    agentAdvertise: wire.agentAdvertise,
  };
}

function toCounts(wire: WireCounts): Counts {
  return {
    networks: Number(wire.networks),
    subnets: Number(wire.subnets),
    reservations: Number(wire.reservations),
    quarantined: Number(wire.quarantined),
    hosts: Number(wire.hosts),
    hostsUp: Number(wire.hostsUp),
    placements: Number(wire.placements),
    placementsServing: Number(wire.placementsServing),
  };
}
