// A DHCP backend, and what the invariants see of it: the table it answers with, and whether it may.

import type { AnswerGate, DhcpBackend, DhcpServer, IsClaimed, Link } from '@leasehold/agent/backends/dhcp-backend';
import type { NetworkTable } from '@leasehold/agent/domain/table';

/** A network that a host may answer in. */
export interface ServedHere {
  readonly networkId: string;
  readonly table: NetworkTable;
  readonly gate: AnswerGate;
  readonly server: DhcpServer;
}

/** Passes everything on, and remembers what is open. */
export class WatchedBackend implements DhcpBackend {
  readonly name: string;
  readonly served = new Set<ServedHere>();
  readonly #backend: DhcpBackend;

  constructor(backend: DhcpBackend) {
    this.name = backend.name;
    this.#backend = backend;
  }

  open(networkId: string, table: NetworkTable, gate: AnswerGate): DhcpServer {
    const server = this.#backend.open(networkId, table, gate);
    const here: ServedHere = { networkId, table, gate, server };
    this.served.add(here);
    const closing = (close: () => Promise<void>) => async () => {
      await close();
      this.served.delete(here);
    };
    return {
      attach: (link) => server.attach(link),
      changed: () => server.changed(),
      flush: () => server.flush(),
      state: () => server.state(),
      onStateChange: (listener) => server.onStateChange(listener),
      close: closing(() => server.close()),
      suspend: closing(() => server.suspend()),
    };
  }

  tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    return this.#backend.tidy(links, isClaimed);
  }
}
