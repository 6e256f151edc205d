// How the installation is, for GetStatus.

import type { WallTime } from '../domain/ids.js';
import type { HolderLease } from '../ports/holder-lease.js';
import type { StoreHealth } from '../ports/store.js';
import type { Context } from './context.js';
import type { Fleet } from './fleet.js';
import type { HoldingStill } from './holding-still.js';
import { hostLiveness } from './host-status.js';
import type { Manager } from './manager.js';
import type { Brake } from './raised-brakes.js';

/** What does not change while a server runs. */
export interface ServerIdentity {
  readonly version: string;
  readonly name: string;
  readonly startTime: WallTime;
  /** Listeners that take calls without TLS. */
  readonly insecureListeners: readonly string[];
  /** Until when its certificate is valid, as it is by now: it may be renewed. Undefined: no TLS. */
  readonly certificateEnd?: (() => Date) | undefined;
}

/** The whole report. */
export interface StatusReport {
  readonly version: string;
  readonly server: string;
  readonly startTime: Date;
  readonly store: { readonly kind: string; readonly uid: string; readonly incarnation: number } & StoreHealth;
  /** The server that leads; undefined: none now. */
  readonly holder: HolderLease['holder'];
  /** Whether that is the server that answers. */
  readonly isHolder: boolean;
  readonly brakes: readonly Brake[];
  readonly insecureListeners: readonly string[];
  readonly counts: Counts;
  readonly authorityS: number;
  /** What time it is by the clock of this server. */
  readonly time: Date;
  /** Until when its certificate is valid. Undefined: no TLS. */
  readonly certificateEndTime: Date | undefined;
}

/** How much there is. */
export interface Counts {
  readonly networks: number;
  readonly subnets: number;
  readonly reservations: number;
  readonly quarantined: number;
  readonly hosts: number;
  readonly hostsUp: number;
  readonly placements: number;
  readonly placementsServing: number;
}

/** The use case. */
export class Status {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #manager: () => Manager | undefined;
  readonly #holding: Pick<HoldingStill, 'brake'>;
  readonly #identity: ServerIdentity;

  /** `manager`: the present one, while this server leads. */
  constructor(
    context: Context,
    fleet: Fleet,
    manager: () => Manager | undefined,
    holding: Pick<HoldingStill, 'brake'>,
    identity: ServerIdentity,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#manager = manager;
    this.#holding = holding;
    this.#identity = identity;
  }

  /** The report now; from memory. */
  get(): StatusReport {
    const { store, lease, clock } = this.#context;
    const { version, name, startTime, insecureListeners, certificateEnd } = this.#identity;
    const holding = this.#holding.brake;
    const { storeUid: uid, incarnation, authorityS } = store.settings;
    return {
      version,
      server: name,
      startTime: new Date(startTime),
      store: { kind: store.kind, uid, incarnation, ...store.health },
      holder: lease.holder,
      isHolder: lease.isSelf,
      brakes: [...(holding ? [holding] : []), ...(this.#manager()?.brakes ?? [])],
      insecureListeners,
      counts: this.#counts(),
      authorityS,
      time: clock.wallTime(),
      certificateEndTime: certificateEnd?.(),
    };
  }

  #counts(): Counts {
    const { view } = this.#context;
    const networks = [...view.networks.values()];
    const present = networks.filter((network) => !network.deleted);
    const occupancies = networks.map(({ networkId }) => view.occupancy(networkId));
    const livenesses = [...view.hosts.values()].map((host) => hostLiveness(this.#context, this.#fleet, host));
    const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
    return {
      networks: present.length,
      subnets: sum(present.map(({ subnets }) => subnets.length)),
      reservations: sum(occupancies.map(({ reserved }) => reserved)),
      quarantined: sum(occupancies.map(({ resting }) => resting.size)),
      hosts: livenesses.length,
      hostsUp: livenesses.filter((liveness) => liveness === 'up').length,
      placements: sum(present.map(({ placements }) => placements.length)),
      placementsServing: sum(present.map((network) => this.#fleet.serving(network).length)),
    };
  }
}
