// Who calls, from the connection to the handler.
//
//   C1. A TLS connection has a card, which the library shows with every call of it; who it is says the card.
//   C2. Before anything of a call is read it is refused, or has a caller. The metadata that its handler gets are the key to
//       it: a call without one came through a door without TLS, or is a defect.

import type { DetailedPeerCertificate } from 'node:tls';
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, type ServerUnaryCall } from '@grpc/grpc-js';
import { type IpamError, type Result, unauthenticated } from '../domain/errors.js';
import type { Metrics } from '../ports/metrics.js';
import { authorize, type Caller, INSECURE, parseCaller } from './access.js';
import { toWireError } from './errors.js';
import type { Peer } from './peer.js';

/** Names in the metadata of a call who called the server that passes it on. */
export const ON_BEHALF_OF = 'leasehold-on-behalf-of';

/** What a connection shows: an object that looks like a certificate to the library, and is known by itself alone. */
export type Card = DetailedPeerCertificate;

const PEERS = new WeakMap<object, Peer>();
const CALLERS = new WeakMap<Metadata, Caller>();

/** A new card. */
export function cardOf(peer: Peer): Card {
  // The library takes what has no bytes for no certificate.
  const card = { raw: Buffer.alloc(0) } as Card;
  PEERS.set(card, peer);
  return card;
}

/** Lets calls of TLS connections pass, and no others than the table allows. */
export function guard(metrics: Metrics): ServerInterceptor {
  return ({ path }, call) => {
    // Now: a connection that is gone shows no card any more.
    const card = call.getAuthContext().sslPeerCertificate;
    const peer = card && PEERS.get(card);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            const caller = admit(path, peer, metadata);
            if (!caller.ok) {
              refused(metrics, caller.error);
              call.sendStatus(toWireError(caller.error));
              return;
            }
            CALLERS.set(metadata, caller.value);
            pass(metadata);
          },
        }),
    });
  };
}

function admit(path: string, peer: Peer | undefined, metadata: Metadata): Result<Caller> {
  if (!peer) return unauthenticated('its connection is gone');
  if (peer.kind === 'unknown') return unauthenticated(peer.problem);
  const { identity } = peer;
  const [named] = identity.role === 'server' ? metadata.get(ON_BEHALF_OF) : [];
  return authorize(path, identity, named === undefined ? undefined : String(named));
}

function refused(metrics: Metrics, { kind }: IpamError): void {
  metrics.count('callsRefused', { reason: kind === 'unauthenticated' ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED' });
}

/** A call that a handler got. */
export type Call = Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'getAuthContext'>;

/** Who calls; on a door without TLS whom the call names, for whoever reaches it is believed. */
export function callerOf(call: Call): Caller {
  const known = CALLERS.get(call.metadata);
  if (known) return known;
  // Were the metadata not those that the guard saw, anybody with a certificate could do everything.
  if (call.getAuthContext().transportSecurityType === 'ssl') throw new Error('A call by TLS has not passed the guard');
  const [named] = call.metadata.get(ON_BEHALF_OF);
  return (named !== undefined && parseCaller(String(named))) || INSECURE;
}
