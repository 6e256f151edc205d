// What every node of a simulation is made with.

import type { Report } from './invariants/store.js';
import type { VirtualProcess } from './node.js';
import type { Seeded } from './seeded.js';
import type { SessionNetwork } from './session-network.js';
import type { LinkedStore } from './store-link.js';
import type { Trace } from './trace.js';
import type { World } from './world.js';

/** What every node is made with. */
export interface Surroundings {
  readonly world: World;
  readonly chance: Seeded;
  readonly trace: Trace;
  readonly sessions: SessionNetwork;
  /** Opens the store for a server's process; `chance`: what it draws. */
  readonly openStore: (process: VirtualProcess, chance: Seeded) => LinkedStore;
  /** Says that an invariant is broken. */
  readonly report: Report;
}
