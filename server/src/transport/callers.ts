// Who calls, from the connection to the handler.
//
//   C1. A TLS connection has a card, which the library shows with every call of it; who it is says the card.
//   C2. Before anything of a call is read it is refused, or has a caller. The metadata that its handler gets are the key to
//       it: a call without one came through a door without TLS, or is a defect.
//   C3. Calls are counted for whom the certificate names, those that are refused too; a batch for its items, once they are read.

import type { DetailedPeerCertificate } from 'node:tls';
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, type ServerUnaryCall } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { formatIdentity, type Identity } from '@leasehold/proto/identity';
import type { CallRates } from '../domain/call-rate.js';
import { type IpamError, type Refused, type Result, tooManyCalls, unauthenticated } from '../domain/errors.js';
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

/** What calls of TLS connections are held against, beside the table of who may call what. */
export interface Guarding {
  readonly rates: CallRates;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Lets calls of TLS connections pass, no others than the table allows, and no more than a caller may make. */
export function guard(guarding: Guarding): ServerInterceptor {
  const { rates, clock, metrics } = guarding;
  return ({ path }, call) => {
    // Now: a connection that is gone shows no card any more.
    const card = call.getAuthContext().sslPeerCertificate;
    const peer = card && PEERS.get(card);
    const payer = peer && payerOf(peer);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            const limited = payer && overRate(guarding, payer);
            const caller = limited ?? admit(path, peer, metadata);
            if (!caller.ok) {
              if (!limited) refused(metrics, caller.error);
              call.sendStatus(toWireError(caller.error));
              return;
            }
            CALLERS.set(metadata, caller.value);
            pass(metadata);
          },
          onReceiveMessage(message: unknown, pass) {
            const more = itemsOf(message) - 1;
            if (payer && more > 0) rates.owe(formatIdentity(payer), more, clock.now());
            pass(message);
          },
        }),
    });
  };
}

/** Whom calls of a connection are counted for; undefined: nobody, as of servers, whose callers are counted where they came in. */
function payerOf(peer: Peer): Identity | undefined {
  return peer.kind === 'known' && peer.identity.role !== 'server' ? peer.identity : undefined;
}

function overRate({ rates, clock, metrics }: Guarding, payer: Identity): Refused | undefined {
  const name = formatIdentity(payer);
  const waitMs = rates.take(name, clock.now());
  if (waitMs === 0) return undefined;
  metrics.count('callsLimited', { limit: 'calls-per-second', role: payer.role });
  return tooManyCalls(name, rates.perSecond, waitMs);
}

/** A batch counts as its items do. */
function itemsOf(message: unknown): number {
  const { requests } = message as { readonly requests?: unknown };
  return Array.isArray(requests) ? requests.length : 1;
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

/** Who calls by a certificate; undefined: the call came through a door without TLS. */
export function knownCaller(call: Call): Caller | undefined {
  const known = CALLERS.get(call.metadata);
  // Were the metadata not those that the guard saw, anybody with a certificate could do everything.
  if (!known && call.getAuthContext().transportSecurityType === 'ssl') {
    throw new Error('A call by TLS has not passed the guard');
  }
  return known;
}

/** Who calls; on a door without TLS whom the call names, for whoever reaches it is believed. */
export function callerOf(call: Call): Caller {
  const known = knownCaller(call);
  if (known) return known;
  const [named] = call.metadata.get(ON_BEHALF_OF);
  return (named !== undefined && parseCaller(String(named))) || INSECURE;
}
