// What every node of a simulation is made with.

import type { MemoryStore } from '../fakes/memory-store.js';
import type { Seeded } from './seeded.js';
import type { SessionNetwork } from './session-network.js';
import type { StorePlace } from './store-exchange.js';
import type { Trace } from './trace.js';
import type { World } from './world.js';

/** What every node is made with. */
export interface Surroundings {
  readonly world: World;
  readonly chance: Seeded;
  readonly trace: Trace;
  readonly sessions: SessionNetwork;
  readonly base: MemoryStore;
  readonly storePlace: StorePlace;
  readonly watchLagMs: () => number;
  /** A program said of itself that it is wrong, or did what none may. */
  readonly defect: (what: string) => void;
}
