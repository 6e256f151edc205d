// Until when each host may answer, reckoned beside the agent from what passes between it and the servers.
//
//   Q1. Only words that reached the agent count, and only in the boot in which they did: authority is S after the send of
//       the last heartbeat that was acknowledged, on the machine's clock.
//   Q2. An acknowledgement prolongs what still runs, for the placements that it lists; what lapsed or never was begins by a
//       word in the same session that confirms the table.
//   Q3. An upper bound is never too low and a lower one never too high: a rule that is broken by them is broken.

import type { SessionChannel, SessionTransport } from '@leasehold/agent/session/session-transport';
import type { Clock } from '@leasehold/program/clock';
import type { Delivery, SessionRequest, SessionResponse, TableState } from '@leasehold/proto/ipam/v1/session';

/** What is known of one network on one host. */
interface Reckoned {
  /** On the machine's clock. */
  untilMs: number;
  /** When the last heartbeat was sent that was acknowledged with a confirmed table. */
  heardMs: number;
  /** The first of those behind which none was missing. */
  heardSinceMs: number;
  placementEpoch: bigint;
  /** Since when the agent says that it serves; undefined: it does not. */
  servingSinceMs: number | undefined;
}

interface Session {
  /** By their sequence; the hello is 0. */
  readonly sent: Map<bigint, number>;
  authorityMs: number;
  intervalMs: number;
  /** When the newest was sent that was acknowledged. */
  ackedMs: number | undefined;
  readonly confirmed: Set<string>;
  /** When the welcome came, and what was so before. */
  welcomed: { readonly atMs: number; readonly before: ReadonlyMap<string, Reckoned> } | undefined;
}

interface Machine {
  readonly bootId: string;
  readonly clock: Clock;
  readonly networks: Map<string, Reckoned>;
  intervalMs: number;
}

/** How many intervals without an acknowledgement make an agent silent about refusals. */
const BEHIND_INTERVALS = 3;
const HEARD_INTERVALS = 2;

/** See the top of the file. */
export class AuthorityReckoning {
  readonly #machines = new Map<string, Machine>();

  /** Listens between a process of an agent and its network. */
  watch(hostId: string, bootId: string, clock: Clock, transport: SessionTransport): SessionTransport {
    const before = this.#machines.get(hostId);
    const isSameBoot = before?.bootId === bootId;
    const machine: Machine = isSameBoot ? before : { bootId, clock, networks: new Map(), intervalMs: 1_000 };
    // What another process said of its service is not sure any more.
    for (const reckoned of machine.networks.values()) reckoned.servingSinceMs = undefined;
    this.#machines.set(hostId, machine);
    return {
      open: (server, handlers, speaksWithinMs) => {
        const session: Session = {
          ...{ sent: new Map(), authorityMs: 0, intervalMs: 1_000, ackedMs: undefined, confirmed: new Set() },
          welcomed: undefined,
        };
        const inner = transport.open(
          server,
          {
            onMessage: (response) => {
              // Before the agent acts on it: what it answers at once is answered with this.
              this.#heard(machine, session, response);
              handlers.onMessage(response);
            },
            onClose: (reason) => {
              this.#ended(machine, session);
              handlers.onClose(reason);
            },
          },
          speaksWithinMs,
        );
        const channel: SessionChannel = {
          send: (request) => {
            this.#said(machine, session, request);
            inner.send(request);
          },
          close: () => inner.close(),
        };
        return channel;
      },
    };
  }

  /** Until when the host may answer in the network, on its machine's clock in this boot; -Infinity: it may not. */
  untilMs(hostId: string, networkId: string): number {
    return this.#machines.get(hostId)?.networks.get(networkId)?.untilMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether the host may answer in the network now. */
  mayAnswer(hostId: string, networkId: string): boolean {
    const machine = this.#machines.get(hostId);
    const reckoned = machine?.networks.get(networkId);
    return machine !== undefined && reckoned !== undefined && machine.clock.now() < reckoned.untilMs;
  }

  /** Whether the host may refuse an address now: it was heard within three intervals. */
  mayRefuse(hostId: string, networkId: string): boolean {
    const machine = this.#machines.get(hostId);
    const reckoned = machine?.networks.get(networkId);
    if (!machine || !reckoned) return false;
    return machine.clock.now() - reckoned.heardMs <= BEHIND_INTERVALS * machine.intervalMs;
  }

  /**
   * For how long the host has been serving the network by its own word, synchronised, heard and with authority; undefined:
   * it is not. Whose heartbeats were not acknowledged may have been told nothing either: the server had lost the store.
   */
  servingForMs(hostId: string, networkId: string): number | undefined {
    const machine = this.#machines.get(hostId);
    const reckoned = machine?.networks.get(networkId);
    if (!machine || reckoned?.servingSinceMs === undefined || !this.mayAnswer(hostId, networkId)) return undefined;
    const nowMs = machine.clock.now();
    if (nowMs - reckoned.heardMs > HEARD_INTERVALS * machine.intervalMs) return undefined;
    return nowMs - Math.max(reckoned.servingSinceMs, reckoned.heardSinceMs);
  }

  #said(machine: Machine, session: Session, { message }: SessionRequest): void {
    const nowMs = machine.clock.now();
    // Its parts leave together; the first one counts.
    if (message?.$case === 'hello' && !session.sent.has(0n)) session.sent.set(0n, nowMs);
    if (message?.$case === 'heartbeat') {
      session.sent.set(message.value.sequence, nowMs);
      for (const table of message.value.tables) this.#reported(machine, table, nowMs);
    }
    if (message?.$case === 'deliveryAck' && message.value.table) this.#reported(machine, message.value.table, nowMs);
  }

  #reported(machine: Machine, { networkId, serving }: TableState, nowMs: number): void {
    const reckoned = machine.networks.get(networkId);
    if (!reckoned) return;
    if (!serving) reckoned.servingSinceMs = undefined;
    else reckoned.servingSinceMs ??= nowMs;
  }

  #heard(machine: Machine, session: Session, { message }: SessionResponse): void {
    switch (message?.$case) {
      case 'welcome': {
        const { authority, heartbeatInterval } = message.value;
        session.authorityMs = inMs(authority);
        session.intervalMs = inMs(heartbeatInterval);
        session.ackedMs = session.sent.get(0n);
        session.welcomed = { atMs: machine.clock.now(), before: new Map(machine.networks) };
        return;
      }
      case 'heartbeatAck': {
        const sentMs = session.sent.get(message.value.sequence);
        if (sentMs === undefined) return;
        if (message.value.heartbeatInterval) session.intervalMs = inMs(message.value.heartbeatInterval);
        machine.intervalMs = session.intervalMs;
        session.ackedMs = Math.max(session.ackedMs ?? sentMs, sentMs);
        for (const { networkId, placementEpoch } of message.value.placements) {
          this.#prolong(machine, session, networkId, placementEpoch);
        }
        return;
      }
      case 'delivery':
        this.#delivered(machine, session, message.value);
        return;
      default:
    }
  }

  /** What came together with the welcome and the end waited for the epoch to be on the disk, and was forgotten. */
  #ended(machine: Machine, { welcomed }: Session): void {
    if (welcomed?.atMs !== machine.clock.now()) return;
    for (const [networkId, reckoned] of welcomed.before) {
      if (!machine.networks.has(networkId)) machine.networks.set(networkId, reckoned);
    }
  }

  #delivered(machine: Machine, session: Session, { networkId, placementEpoch, action }: Delivery): void {
    if (action?.$case === 'unassignment') {
      machine.networks.delete(networkId);
      session.confirmed.delete(networkId);
      return;
    }
    if (action?.$case !== 'snapshotEnd' && action?.$case !== 'tableConfirmation') return;
    machine.intervalMs = session.intervalMs;
    session.confirmed.add(networkId);
    this.#prolong(machine, session, networkId, placementEpoch);
  }

  #prolong(machine: Machine, session: Session, networkId: string, placementEpoch: bigint): void {
    const nowMs = machine.clock.now();
    const { ackedMs, authorityMs } = session;
    if (ackedMs === undefined) return;
    const known = machine.networks.get(networkId);
    const isConfirmed = session.confirmed.has(networkId);
    if (!isConfirmed && (known === undefined || nowMs >= known.untilMs)) return;
    if (known && known.placementEpoch > placementEpoch) return;
    const heardMs = isConfirmed ? ackedMs : (known?.heardMs ?? Number.NEGATIVE_INFINITY);
    const isOnTime = known !== undefined && heardMs - known.heardMs <= HEARD_INTERVALS * machine.intervalMs;
    machine.networks.set(networkId, {
      placementEpoch,
      untilMs: ackedMs + authorityMs,
      heardMs,
      heardSinceMs: isOnTime ? known.heardSinceMs : heardMs,
      servingSinceMs: known?.servingSinceMs,
    });
  }
}

function inMs(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return duration ? Number(duration.seconds) * 1_000 + duration.nanos / 1e6 : 0;
}
