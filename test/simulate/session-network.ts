// The agents' sessions over the network, as gRPC has them.
//
//   C1. Each direction arrives in order. A cut holds up what is on its way; it is lost when the connection breaks.
//   C2. Who closes tells the other end, who hears it when the way is whole. Who dies is closed by the kernel of the
//       machine; a machine without power says nothing, and what then comes for a process that is no more resets the
//       connection.
//   C3. An agent that has no word from the other end for 10 s leaves, a server after 50 s; so the two may disagree about
//       whether there is a session.
//   C4. A process that stands still is connected to all the same, by its kernel, and says nothing.

import { fromRefusal } from '@leasehold/agent/session/named-holder';
import type {
  SessionChannel,
  SessionEnd,
  SessionHandlers,
  SessionTransport,
} from '@leasehold/agent/session/session-transport';
import { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { IpamError } from '@leasehold/server/domain/errors';
import type { Lane, Network } from './network.js';
import type { Machine, VirtualProcess } from './node.js';

/** What takes the streams of a server. */
export interface StreamTaker {
  open(link: { send(message: SessionResponse): void; end(error: IpamError | undefined): void }): {
    receive(request: SessionRequest): void;
    closed(): void;
  };
}

/** Sees what agents say, when they say it, and what they are told, when that arrives. */
export interface SessionWitness {
  said(hostId: string, request: SessionRequest): void;
  told(hostId: string, server: string, response: SessionResponse): void;
}

interface Listener {
  readonly process: VirtualProcess;
  readonly streams: StreamTaker;
}

const AGENT_ASKS_EVERY_MS = 5_000;
const SERVER_ASKS_EVERY_MS = 25_000;
const ANSWERS_MISSED = 2;

/** Where servers listen, and how agents reach them. */
export class SessionNetwork {
  readonly network: Network;
  readonly witness: SessionWitness;
  /** Whether messages go through their encoding. */
  readonly isEncoded: boolean;
  readonly #servers = new Map<string, { readonly machine: Machine; listener: Listener | undefined }>();

  constructor(network: Network, witness: SessionWitness, isEncoded: boolean) {
    this.network = network;
    this.witness = witness;
    this.isEncoded = isEncoded;
  }

  /** A server's machine. */
  add(machine: Machine): void {
    this.#servers.set(machine.name, { machine, listener: undefined });
  }

  /** Takes streams from now on, for as long as the process lives. */
  listen(process: VirtualProcess, streams: StreamTaker): void {
    const server = this.#servers.get(process.machine.name);
    if (!server) throw new Error(`${process.machine.name} is not a server`);
    const listener = { process, streams };
    server.listener = listener;
    process.onKill(() => {
      if (server.listener === listener) server.listener = undefined;
    });
  }

  /** How an agent's process reaches servers by their names. */
  transportOf(process: VirtualProcess): SessionTransport {
    return {
      open: (name, handlers, speaksWithinMs) => {
        const server = this.#servers.get(name);
        if (!server) throw new Error(`There is no server ${name}`);
        return new Connection(this, process, server.machine, () => server.listener, handlers, speaksWithinMs).channel();
      },
    };
  }
}

class Connection {
  readonly #sessions: SessionNetwork;
  readonly #agent: VirtualProcess;
  readonly #machine: Machine;
  readonly #handlers: SessionHandlers;
  readonly #toServer: Lane;
  readonly #toAgent: Lane;
  #server: VirtualProcess | undefined;
  #stream: ReturnType<StreamTaker['open']> | undefined;
  #isAgentOpen = true;
  #isServerOpen = true;
  #isHeard = false;

  constructor(
    sessions: SessionNetwork,
    agent: VirtualProcess,
    machine: Machine,
    listener: () => Listener | undefined,
    handlers: SessionHandlers,
    speaksWithinMs: number,
  ) {
    this.#sessions = sessions;
    this.#agent = agent;
    this.#machine = machine;
    this.#handlers = handlers;
    const { network } = sessions;
    this.#toServer = network.lane(agent.machine, machine);
    this.#toAgent = network.lane(machine, agent.machine);
    agent.onKill(() => this.#leftByAgent(agent.machine.isUp));
    agent.after(speaksWithinMs, () => {
      if (!this.#isHeard) this.#loseAgent({ reason: `No connection within ${speaksWithinMs / 1_000} s` });
    });
    this.#askFromAgent(0);
    this.#toServer.push(() => this.#arrived(listener()));
  }

  channel(): SessionChannel {
    return {
      send: (request) => {
        if (!this.#isAgentOpen || !this.#agent.isAlive) return;
        this.#sessions.witness.said(this.#agent.machine.name, request);
        this.#sendToServer(this.#encoded(SessionRequest, request));
      },
      close: () => this.#leftByAgent(true),
    };
  }

  #encoded<T>(codec: { encode(message: T): { finish(): Uint8Array }; decode(bytes: Uint8Array): T }, message: T): T {
    return this.#sessions.isEncoded ? codec.decode(codec.encode(message).finish()) : message;
  }

  /** The kernel of the server's machine was asked for a connection. */
  #arrived(listener: Listener | undefined): void {
    if (!listener) {
      this.#isServerOpen = false;
      this.#toAgent.push(() => this.#agent.arrive(() => this.#loseAgent({ reason: 'connection refused' })));
      return;
    }
    const { process, streams } = listener;
    this.#server = process;
    process.onKill(() => this.#leftByServer(process.machine.isUp, { reason: 'Server is gone' }));
    process.arrive(() => this.#accept(streams));
  }

  #accept(streams: StreamTaker): void {
    if (!this.#isServerOpen) return;
    this.#toAgent.push(() => {
      this.#isHeard = true;
    });
    this.#stream = streams.open({
      send: (message) => {
        if (this.#isServerOpen) this.#sendToAgent(this.#encoded(SessionResponse, message));
      },
      end: (error) => {
        this.#leftByServer(true, endOf(error));
        const stream = this.#stream;
        this.#server?.after(0, () => stream?.closed());
      },
    });
    this.#askFromServer(0);
  }

  #sendToServer(request: SessionRequest): void {
    this.#toServer.push(() => {
      if (!this.#server?.isAlive) {
        this.#toAgent.push(() => this.#agent.arrive(() => this.#loseAgent({ reason: 'connection reset' })));
        return;
      }
      this.#server.arrive(() => {
        if (!this.#isServerOpen) return;
        this.#stream?.receive(request);
      });
    });
  }

  #sendToAgent(response: SessionResponse): void {
    this.#toAgent.push(() => {
      if (!this.#agent.isAlive) {
        this.#toServer.push(() => this.#server?.arrive(() => this.#loseServer()));
        return;
      }
      this.#agent.arrive(() => {
        if (!this.#isAgentOpen) return;
        this.#sessions.witness.told(this.#agent.machine.name, this.#machine.name, response);
        this.#handlers.onMessage(response);
      });
    });
  }

  /** The agent closes its end. `tells`: the machine lives to tell the other one. */
  #leftByAgent(tells: boolean): void {
    if (!this.#isAgentOpen) return;
    this.#isAgentOpen = false;
    if (tells) this.#toServer.push(() => this.#server?.arrive(() => this.#loseServer()));
    this.#closeLanes();
  }

  #leftByServer(tells: boolean, end: SessionEnd): void {
    if (!this.#isServerOpen) return;
    this.#isServerOpen = false;
    if (tells) this.#toAgent.push(() => this.#agent.arrive(() => this.#loseAgent(end)));
    this.#closeLanes();
  }

  /** The agent learns that the connection is over. */
  #loseAgent(end: SessionEnd): void {
    if (!this.#isAgentOpen) return;
    this.#leftByAgent(true);
    this.#handlers.onClose(end);
  }

  #loseServer(): void {
    if (!this.#isServerOpen) return;
    this.#leftByServer(true, { reason: 'broken' });
    this.#stream?.closed();
  }

  #closeLanes(): void {
    if (this.#isAgentOpen || this.#isServerOpen) return;
    this.#toServer.close();
    this.#toAgent.close();
  }

  #askFromAgent(missed: number): void {
    this.#agent.after(AGENT_ASKS_EVERY_MS, () => {
      if (!this.#isAgentOpen) return;
      const now = this.#isAnswered(this.#server) ? 0 : missed + 1;
      if (now < ANSWERS_MISSED) this.#askFromAgent(now);
      else this.#loseAgent({ reason: 'keepalive' });
    });
  }

  #askFromServer(missed: number): void {
    this.#server?.after(SERVER_ASKS_EVERY_MS, () => {
      if (!this.#isServerOpen) return;
      const now = this.#isAnswered(this.#agent) ? 0 : missed + 1;
      if (now < ANSWERS_MISSED) this.#askFromServer(now);
      else this.#loseServer();
    });
  }

  #isAnswered(peer: VirtualProcess | undefined): boolean {
    if (!peer?.isAlive || peer.isStalled) return false;
    return this.#sessions.network.isWhole(this.#agent.machine, this.#machine);
  }
}

/** What an agent learns of a session that its server ended: what the real transport reads from the refusal. */
function endOf(error: IpamError | undefined): SessionEnd {
  const reason = error?.message ?? 'Server ended the session';
  const holder = error?.kind === 'no-holder' ? fromRefusal(error.metadata) : undefined;
  return holder ? { reason, holder } : { reason };
}
