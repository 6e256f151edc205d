// An operator has placements spread evenly: the only way in which one that is well moves. The manager that leads does it.

import type { Author } from '../domain/audit.js';
import { networkNotFound, noHolder, type Result, success } from '../domain/errors.js';
import type { NetworkId } from '../domain/ids.js';
import type { Move } from '../domain/rebalance.js';
import type { Context } from './context.js';
import type { Manager } from './manager.js';

/** The use case. */
export class Rebalance {
  readonly #context: Pick<Context, 'view' | 'lease'>;
  readonly #manager: () => Manager | undefined;

  /** `manager`: the present one, while this server leads. */
  constructor(context: Pick<Context, 'view' | 'lease'>, manager: () => Manager | undefined) {
    this.#context = context;
    this.#manager = manager;
  }

  /** Moves placements of one network, or of all, and answers the moves; with `validateOnly` those it would make. */
  async run(networkId: NetworkId | undefined, validateOnly: boolean, author: Author): Promise<Result<readonly Move[]>> {
    const { view, lease } = this.#context;
    if (networkId !== undefined && !view.network(networkId)) return networkNotFound(networkId);
    const manager = this.#manager();
    if (!manager?.mayAct) return noHolder(lease.holder);
    return success(await manager.rebalance(networkId, validateOnly ? 'preview' : author));
  }
}
