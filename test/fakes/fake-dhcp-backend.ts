// A DHCP backend without packets: tests ask it what a guest would get.

import type { TableEntry } from '@leasehold/proto/ipam/v1/session';
import type { Ipv4 } from '@leasehold/proto/values';

interface Table {
  entries(): Iterable<TableEntry>;
}

interface Gate {
  untilMs(): number;
  standing(): 'silent' | 'synchronised' | 'behind';
}

interface Link {
  readonly name: string;
  readonly index: number;
}

type State = { readonly kind: 'open' } | { readonly kind: 'closed'; readonly reason: string };

type IsClaimed = (link: Link, address: Ipv4) => boolean;

/** Makes fake servers and keeps all it ever made. */
export class FakeDhcpBackend {
  readonly name = 'fake';
  readonly servers: FakeDhcpServer[] = [];
  readonly tidied: { readonly links: readonly string[]; readonly isClaimed: IsClaimed }[] = [];
  /** While set, servers take this long to close. */
  closing: Promise<void> | undefined;

  open(networkId: string, table: Table, gate: Gate): FakeDhcpServer {
    const server = new FakeDhcpServer(networkId, table, gate, () => this.closing);
    this.servers.push(server);
    return server;
  }

  /** Keeps what it was told to look at, and how to tell what is claimed. */
  async tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    this.tidied.push({ links: links.map(({ name }) => name), isClaimed });
  }

  /** The server of a network, if there is one that is not closed. */
  server(networkId: string): FakeDhcpServer | undefined {
    return this.servers.findLast((server) => server.networkId === networkId && !server.isClosed);
  }

  /** What guests of a network get now, as `MAC=ADDRESS`; nothing when nobody is answered. */
  answers(networkId: string): string[] {
    return this.server(networkId)?.answers() ?? [];
  }
}

/** Serves while it has a link and was not told to fail. */
export class FakeDhcpServer {
  readonly networkId: string;
  readonly gate: Gate;
  isClosed = false;
  link: Link | undefined;
  readonly #table: Table;
  readonly #closing: () => Promise<void> | undefined;
  readonly #listeners: (() => void)[] = [];
  #failure: string | undefined;

  constructor(networkId: string, table: Table, gate: Gate, closing: () => Promise<void> | undefined) {
    this.networkId = networkId;
    this.#table = table;
    this.gate = gate;
    this.#closing = closing;
  }

  attach(link: Link | undefined): void {
    this.link = link;
    this.#changed();
  }

  /** Its answers are those of the moment they are asked for. */
  changed(): void {}

  async flush(): Promise<boolean> {
    return this.state().kind === 'open';
  }

  state(): State {
    if (this.#failure !== undefined) return { kind: 'closed', reason: this.#failure };
    return this.link ? { kind: 'open' } : { kind: 'closed', reason: 'No link' };
  }

  onStateChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    await this.#closing();
    this.isClosed = true;
  }

  suspend(): Promise<void> {
    return this.close();
  }

  /** The socket broke, or with `undefined` it is there again. */
  fail(reason: string | undefined): void {
    this.#failure = reason;
    this.#changed();
  }

  /** What guests get now, as `MAC=ADDRESS`. */
  answers(): string[] {
    if (this.isClosed || this.state().kind !== 'open' || this.gate.standing() === 'silent') return [];
    return [...this.#table.entries()].map(({ mac, address }) => `${mac}=${address}`).toSorted();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
