// One stream of an agent: puts the parts of its hello together, then hands its messages to its session.
//
//   H1. What a stream can make the server keep is bounded, in entries, in bytes and in time, before anything is known of
//       who sends it: until its hello is whole an agent is a stranger.
//   H2. Who may speak for one host alone says hello for that one.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Hello, SessionRequest } from '@leasehold/proto/ipam/v1/session';
import { type IpamError, invalidField, permissionDenied } from '../../domain/errors.js';
import { type AgentLink, AgentSession } from './session.js';
import { fromHelloPart, fromSessionMessage } from './wire.js';

/** What becomes of a stream. */
export interface StreamOwner {
  /** A whole hello arrived: begins the session, or says why not; never rejects. */
  begin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError>;
  /** A message of a session that began; a refusal ends the stream. */
  received(session: AgentSession, request: SessionRequest): IpamError | undefined;
  /** The stream of a session is over. */
  ended(session: AgentSession): void;
}

// A host with every VLAN of a trunk, and a table of each: 8,192.
const MAX_HELLO_ENTRIES = 10_000;
// An agent sends its hello in one go.
const HELLO_TIMEOUT_MS = 10_000;

/** A stream, from its first message to its end. */
export class HelloStream {
  readonly #link: AgentLink;
  readonly #owner: StreamOwner;
  readonly #speaksFor: string | undefined;
  readonly #deadline: Timer;
  #hello: Hello | undefined;
  #session: AgentSession | 'beginning' | undefined;
  #open = true;

  /** `speaksFor`: the one host whose hello is taken; absent: any. */
  constructor(link: AgentLink, owner: StreamOwner, clock: Clock, speaksFor?: string) {
    this.#link = link;
    this.#owner = owner;
    this.#speaksFor = speaksFor;
    this.#deadline = clock.after(HELLO_TIMEOUT_MS, () => {
      this.#end(invalidField('hello', `Not whole within ${HELLO_TIMEOUT_MS / 1_000} s`).error);
    });
  }

  receive(request: SessionRequest): void {
    if (!this.#open) return;
    const { message } = request;
    if (this.#session instanceof AgentSession) {
      const checked = fromSessionMessage(message);
      const refused = checked.ok ? this.#owner.received(this.#session, { message: checked.value }) : checked.error;
      if (refused) this.#end(refused);
    } else if (message?.$case === 'hello' && this.#session === undefined) {
      this.#collect(message.value);
    } else {
      this.#end(invalidField('message', 'A session begins with a hello and waits for its welcome').error);
    }
  }

  #collect(received: Hello): void {
    const part = fromHelloPart(received);
    if (!part.ok) {
      this.#end(part.error);
      return;
    }
    const { hostId } = part.value;
    if (this.#speaksFor !== undefined && hostId !== this.#speaksFor) {
      const own = `its certificate is of host ${this.#speaksFor}`;
      this.#end(permissionDenied(`host/${this.#speaksFor}`, `speak for host ${hostId}`, own).error);
      return;
    }
    const hello = this.#hello ?? { ...part.value, attachments: [], tables: [] };
    this.#hello = hello;
    if (hello.hostId !== hostId) {
      this.#end(invalidField('hello.host_id', 'The parts of a hello name different hosts').error);
      return;
    }
    hello.attachments.push(...part.value.attachments);
    hello.tables.push(...part.value.tables);
    if (hello.attachments.length + hello.tables.length > MAX_HELLO_ENTRIES) {
      this.#end(invalidField('hello', `More than ${MAX_HELLO_ENTRIES} attachments and tables`).error);
    } else if (part.value.last) {
      this.#begin(hello);
    }
  }

  #begin(hello: Hello): void {
    this.#deadline.cancel();
    this.#hello = undefined;
    this.#session = 'beginning';
    void this.#owner
      .begin(this.#link, hello, () => this.#open)
      .then((session) => {
        if (!(session instanceof AgentSession)) this.#end(session);
        else if (this.#open) this.#session = session;
        // It closed while its session began: nobody else would say that the session is over.
        else this.#owner.ended(session);
      });
  }

  #end(error: IpamError): void {
    if (!this.#open) return;
    this.closed();
    this.#link.end(error);
  }

  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#deadline.cancel();
    this.#hello = undefined;
    if (this.#session instanceof AgentSession) this.#owner.ended(this.#session);
  }
}
