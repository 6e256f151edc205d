// The way between one agent and the control plane, within this process: a stream of messages that can be cut and broken.

import type { SessionChannel, SessionHandlers, SessionTransport } from '@leasehold/agent/session/session-transport';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { AgentStreams } from '@leasehold/server/transport/agent-stream';

/** What agents of an installation find. */
export interface Installed {
  /** Where streams of agents go; undefined: the server is down. */
  agents(): AgentStreams | undefined;
  /** A way for the messages of one direction of a stream: it delivers each after a while, in their order. */
  way(): (deliver: () => void) => void;
}

/** Sees what the server and one agent say to each other, as the server does. */
export interface WireWitness {
  heard(request: SessionRequest): void;
  said(response: SessionResponse): void;
}

/** The way. */
export class SessionWire implements SessionTransport {
  /** Told of everything that arrives at the server, and of everything the server sends, when it does. */
  witness: WireWitness | undefined;
  readonly #installed: Installed;
  #isCut = false;
  #breakNow: (() => void) | undefined;

  constructor(installed: Installed) {
    this.#installed = installed;
  }

  /** From now on nothing arrives any more, and nobody is told. */
  cut(): void {
    this.#isCut = true;
  }

  /** Messages arrive again; a stream that was cut turns out to be broken, or only to have lost what was said meanwhile. */
  heal(stream: 'broken' | 'whole' = 'broken'): void {
    this.#isCut = false;
    if (stream === 'broken') this.breakStream();
  }

  /** The stream breaks, and both ends learn of it. */
  breakStream(): void {
    this.#breakNow?.();
    this.#breakNow = undefined;
  }

  open(_server: string, handlers: SessionHandlers): SessionChannel {
    let isOpen = true;
    const isUp = () => isOpen && !this.#isCut;
    const [toAgent, toServer] = [this.#direction(isUp), this.#direction(isUp)];
    const agents = this.#installed.agents();
    if (!agents) {
      const refuse = () => {
        if (isOpen) handlers.onClose({ reason: 'connection refused' });
        isOpen = false;
      };
      toAgent(refuse);
      // While it is cut nobody says so, until it heals.
      this.#breakNow = refuse;
      return { send: () => undefined, close: () => (isOpen = false) };
    }
    const close = (reason: string) => {
      if (!isOpen) return;
      isOpen = false;
      handlers.onClose({ reason });
    };
    const stream = agents.open({
      send: (message) => {
        this.witness?.said(message);
        toAgent(() => handlers.onMessage(message));
      },
      end: (error) => toAgent(() => close(error?.message ?? 'ended')),
    });
    this.#breakNow = () => {
      stream.closed();
      close('broken');
    };
    const arrive = (request: SessionRequest) => {
      this.witness?.heard(request);
      stream.receive(request);
    };
    return {
      send: (request) => toServer(() => arrive(request)),
      close: () => {
        isOpen = false;
        if (!this.#isCut) stream.closed();
      },
    };
  }

  #direction(isUp: () => boolean): (deliver: () => void) => void {
    const way = this.#installed.way();
    return (deliver) => way(() => isUp() && deliver());
  }
}
