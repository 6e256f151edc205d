// What answers DHCP on a host. A backend decides nothing: it answers with what is in the table, while the gate lets it.

import type { Ipv4 } from '@leasehold/proto/values';
import type { Standing } from '../domain/standing.js';
import type { NetworkTable } from '../domain/table.js';

export type { Standing } from '../domain/standing.js';

/** Whether a network that is served on this interface has this service address. */
export type IsClaimed = (link: Link, address: Ipv4) => boolean;

/** A way to answer DHCP. */
export interface DhcpBackend {
  /** As told to the server: `builtin`, `dnsmasq`. */
  readonly name: string;
  /** Prepares to serve a network. Never throws: what keeps it from answering is in `state()`. */
  open(networkId: string, table: NetworkTable, gate: AnswerGate): DhcpServer;
  /**
   * Takes from interfaces the service addresses that an earlier process left there: this host would answer ARP for what
   * is another host's now. Claimed ones stay. Never throws.
   */
  tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void>;
}

/** DHCP service of one network. */
export interface DhcpServer {
  /** The interface to serve on, or none. An interface that went and came again has another index. */
  attach(link: Link | undefined): void;
  /** Table or gate changed; a server that asks them at every answer has nothing to do. */
  changed(): void;
  /**
   * Resolves when guests get what the table holds now, as far as the gate lets them get anything, and `false` when that is
   * not so.
   */
  flush(): Promise<boolean>;
  state(): ServerState;
  /** Calls `listener` whenever `state()` changed. */
  onStateChange(listener: () => void): void;
  /** Answers nobody any more, takes its service address from the interface. */
  close(): Promise<void>;
  /**
   * As `close`, for a restart of the agent: what answers without this process goes on as long as the gate let it at
   * last, and is taken over by the next.
   */
  suspend(): Promise<void>;
}

/** An interface that is there and up. */
export interface Link {
  readonly name: string;
  readonly index: number;
}

/** Whether a server could answer. */
export type ServerState = { readonly kind: 'open' } | { readonly kind: 'closed'; readonly reason: string };

/** The agent's authority, as the backend sees it. */
export interface AnswerGate {
  standing(): Standing;
  /** When it becomes `silent` unless it is prolonged, on the agent's clock: for who answers without asking. */
  untilMs(): number;
}
