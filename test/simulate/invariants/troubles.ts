// Which machines something is wrong with, by what was done to them: no program is asked.

import type { Fault } from '../schedule.js';
import type { World } from '../world.js';

interface Trouble {
  /** What began it. */
  kind: Fault['kind'];
  count: number;
  sinceMs: number;
  overMs: number;
}

/** Follows the faults of a run. */
export class Troubles {
  readonly #world: World;
  readonly #servers: readonly string[];
  readonly #ofName = new Map<string, Trouble>();

  constructor(world: World, servers: readonly string[]) {
    this.#world = world;
    this.#servers = servers;
  }

  /** A fault begins; what it answers is called when that is over. */
  begin(fault: Fault): () => void {
    const names = this.#namesOf(fault);
    for (const name of names) {
      const trouble = this.#ofName.get(name) ?? { kind: fault.kind, count: 0, sinceMs: 0, overMs: 0 };
      this.#ofName.set(name, trouble);
      if (trouble.count++ === 0) Object.assign(trouble, { kind: fault.kind, sinceMs: this.#world.nowMs });
    }
    return () => {
      for (const name of names) {
        const trouble = this.#ofName.get(name);
        if (trouble && --trouble.count === 0) trouble.overMs = this.#world.nowMs;
      }
    };
  }

  /** For how long an agent does not run, since what is wrong with its host began; 0: it does, or something else is wrong. */
  goneForMs(name: string): number {
    const trouble = this.#ofName.get(name);
    const isGone = trouble?.kind === 'kill-host' || trouble?.kind === 'reboot-host';
    return isGone && trouble.count > 0 ? this.#world.nowMs - trouble.sinceMs : 0;
  }

  /** For how long nothing has been wrong with a machine. */
  calmForMs(name: string): number {
    const trouble = this.#ofName.get(name);
    if (!trouble) return this.#world.nowMs;
    return trouble.count > 0 ? 0 : this.#world.nowMs - trouble.overMs;
  }

  #namesOf(fault: Fault): readonly string[] {
    switch (fault.kind) {
      case 'cut':
        return [...fault.of, ...fault.from];
      case 'kill-servers':
      case 'old-lead':
        return this.#servers;
      case 'store-trouble':
        return ['store'];
      case 'step-clock':
      case 'when':
        return [];
      default:
        return 'server' in fault ? [fault.server] : [fault.host];
    }
  }
}
