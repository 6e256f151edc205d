// The default backend: the agent answers DHCP by itself. Nothing is rendered, spawned or reloaded; a reservation is
// effective as soon as the table holds it.

import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpBackend } from '../dhcp-backend.js';
import { type BuiltinPorts, BuiltinServer } from './builtin-server.js';

/** Makes servers of the builtin responder. */
export class BuiltinBackend implements DhcpBackend {
  readonly name = 'builtin';
  readonly #ports: BuiltinPorts;

  constructor(ports: BuiltinPorts) {
    this.#ports = ports;
  }

  open(networkId: string, table: NetworkTable, gate: AnswerGate): BuiltinServer {
    return new BuiltinServer(table, gate, { ...this.#ports, log: this.#ports.log.with({ network: networkId }) });
  }
}
