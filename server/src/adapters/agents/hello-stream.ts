// One stream of an agent: puts the parts of its hello together, then hands its messages to its session.

import type { Hello, SessionRequest } from '@leasehold/proto/ipam/v1/session';
import { type IpamError, invalidField, storeUnavailable } from '../../domain/errors.js';
import { type AgentLink, AgentSession } from './session.js';

/** What becomes of a stream. */
export interface StreamOwner {
  /** A whole hello arrived: begins the session, or says why not. */
  begin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError>;
  /** A message of a session that began; a refusal ends the stream. */
  received(session: AgentSession, request: SessionRequest): IpamError | undefined;
  /** The stream of a session is over. */
  ended(session: AgentSession): void;
}

/** A stream, from its first message to its end. */
export class HelloStream {
  readonly #link: AgentLink;
  readonly #owner: StreamOwner;
  #hello: Hello | undefined;
  #session: AgentSession | 'beginning' | undefined;
  #open = true;

  constructor(link: AgentLink, owner: StreamOwner) {
    this.#link = link;
    this.#owner = owner;
  }

  receive(request: SessionRequest): void {
    if (!this.#open) return;
    const { message } = request;
    if (this.#session instanceof AgentSession) {
      const refused = this.#owner.received(this.#session, request);
      if (refused) this.#end(refused);
    } else if (message?.$case === 'hello' && this.#session === undefined) {
      this.#collect(message.value);
    } else {
      this.#end(invalidField('message', 'A session begins with a hello and waits for its welcome').error);
    }
  }

  #collect(part: Hello): void {
    const before = this.#hello;
    if (before && before.hostId !== part.hostId) {
      this.#end(invalidField('hello.host_id', 'The parts of a hello name different hosts').error);
      return;
    }
    this.#hello = before
      ? {
          ...before,
          attachments: [...before.attachments, ...part.attachments],
          tables: [...before.tables, ...part.tables],
        }
      : part;
    if (!part.last) return;
    this.#session = 'beginning';
    this.#owner
      .begin(this.#link, this.#hello, () => this.#open)
      .then(
        (session) => {
          if (session instanceof AgentSession) this.#session = session;
          else this.#end(session);
        },
        (error: unknown) => this.#end(storeUnavailable(error instanceof Error ? error.message : String(error)).error),
      );
  }

  #end(error: IpamError): void {
    if (!this.#open) return;
    this.closed();
    this.#link.end(error);
  }

  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#session instanceof AgentSession) this.#owner.ended(this.#session);
  }
}
