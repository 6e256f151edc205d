// An agent that does only what a test tells it, message by message.

import type { Delivery, SessionRequest, SessionResponse, TableState } from '@leasehold/proto/ipam/v1/session';
import type { IpamError } from '@leasehold/server/domain/errors';
import type { Installation } from './installation.js';

type Hello = Extract<NonNullable<SessionRequest['message']>, { $case: 'hello' }>['value'];

/** A server, and the time it runs in. */
export type PlayedAt = Pick<Installation, 'plane' | 'advance'>;

/** One stream of a played agent. */
export class PlayedAgent {
  readonly hostId: string;
  readonly #installation: PlayedAt;
  readonly received: SessionResponse[] = [];
  ended: IpamError | 'ended' | undefined;
  readonly #stream;

  constructor(installation: PlayedAt, hostId = 'h1') {
    this.#installation = installation;
    this.hostId = hostId;
    this.#stream = installation.plane.agents.open({
      send: (message) => this.received.push(message),
      end: (error) => {
        this.ended = error ?? 'ended';
      },
    });
  }

  async say(message: NonNullable<SessionRequest['message']>): Promise<void> {
    this.#stream.receive({ message });
    await this.#installation.advance(0);
  }

  async hello(more: Partial<Hello> = {}): Promise<void> {
    const attachment = { networkId: 'red', interface: 'br-red', ready: true, reason: '', foreignDhcpServers: [] };
    await this.say({
      $case: 'hello',
      value: {
        hostId: this.hostId,
        agentInstance: 'a',
        bootId: 'b',
        highestEpoch: undefined,
        storeUid: '',
        incarnation: 0n,
        agentVersion: '0',
        backend: 'builtin',
        failureDomain: '',
        attachments: [attachment],
        tables: [],
        last: true,
        ...more,
      },
    });
    await this.#installation.advance(20);
  }

  get epoch() {
    const welcome = this.received.find(({ message }) => message?.$case === 'welcome')?.message;
    if (welcome?.$case !== 'welcome' || !welcome.value.sessionEpoch) throw new Error('No welcome');
    return welcome.value.sessionEpoch;
  }

  get deliveries(): readonly Delivery[] {
    return this.received.flatMap(({ message }) => (message?.$case === 'delivery' ? [message.value] : []));
  }

  get actions(): readonly string[] {
    return this.deliveries.map(({ action }) => action?.$case ?? 'none');
  }

  get heartbeatAcks() {
    return this.received.flatMap(({ message }) => (message?.$case === 'heartbeatAck' ? [message.value] : []));
  }

  state(more: Partial<TableState> = {}): TableState {
    const last = this.deliveries.at(-1);
    return {
      networkId: 'red',
      networkUid: '',
      placementEpoch: last?.placementEpoch ?? 0n,
      sequence: last?.sequence ?? 0n,
      digest: this.digest(),
      entries: 0n,
      serving: true,
      reason: '',
      ...more,
    };
  }

  /** The digest that the last snapshot ended with. */
  digest(): Buffer {
    const ends = this.deliveries.flatMap(({ action }) =>
      action?.$case === 'snapshotEnd' ? [action.value.digest] : [],
    );
    return ends.at(-1) ?? Buffer.alloc(0);
  }

  acknowledge(more: Partial<TableState> = {}): Promise<void> {
    return this.say({ $case: 'deliveryAck', value: { sessionEpoch: this.epoch, table: this.state(more) } });
  }

  heartbeat(sequence: bigint, tables: TableState[], acknowledgedSequence = sequence - 1n): Promise<void> {
    const value = { sessionEpoch: this.epoch, sequence, tables, acknowledgedSequence };
    return this.say({ $case: 'heartbeat', value });
  }

  async breaks(): Promise<void> {
    this.#stream.closed();
    await this.#installation.advance(0);
  }
}
