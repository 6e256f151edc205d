// TLS with connections that were let in: the handshake, who it is, and only then the library (ADR 20).
//
//   S1. A handshake has a few seconds, and so many are under way at a time: connections that say nothing cost next to nothing.
//   S2. Whoever is not known is let in all the same, to be told why each of its calls is refused; not for long.
//   S3. A connection ends when the certificate does that it was believed by.
//   S4. Nothing is resumed: who it is, and whether it is still believed, is found out with every connection.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  createServer,
  type PeerCertificate as NodeCertificate,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { experimental, type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { TLS_VERSION, type TlsFiles, type TlsMaterial } from '@leasehold/program/tls-files';
import { formatIdentity } from '@leasehold/proto/identity';
import { quote } from '@leasehold/proto/values';
import type { CallRates } from '../domain/call-rate.js';
import type { Metrics } from '../ports/metrics.js';
import { cardOf, guard } from './callers.js';
import type { Entrance } from './doors.js';
import { type Peer, type PeerCertificate, peerOf } from './peer.js';

/** What TLS is spoken with. */
export interface TlsEntranceOptions {
  readonly files: Pick<TlsFiles, 'current' | 'onChange'>;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

const HANDSHAKE_MS = 5_000;
// More than are let in within that time: whoever comes beyond it came past the accept queue.
const MAX_HANDSHAKES = 2_000;
const UNKNOWN_MS = 5_000;
// Of each reason: one that dials over and over shall not fill the log.
const LOGGED_EVERY_MS = 10_000;

/** See the top of the file. */
export class TlsEntrance implements Entrance {
  readonly #options: TlsEntranceOptions;
  readonly #injector: ReturnType<Server['createConnectionInjector']>;
  readonly #tls: TlsServer;
  readonly #logged = new Map<string, { nextMs: number; unsaid: number }>();
  #underWay = 0;
  #closed = false;

  constructor(server: Server, options: TlsEntranceOptions, rates: CallRates) {
    this.#options = options;
    const plain = ServerCredentials.createInsecure();
    const guarded = experimental.createServerCredentialsWithInterceptors(plain, [guard({ ...options, rates })]);
    this.#injector = server.createConnectionInjector(guarded);
    this.#tls = createServer({
      ...contextOf(options.files.current),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_MS,
    });
    options.files.onChange((material) => this.#tls.setSecureContext(contextOf(material)));
    this.#tls.on('secureConnection', (socket) => this.#secured(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#failed(error, socket));
  }

  /** Handshakes under way. */
  get underWay(): number {
    return this.#underWay;
  }

  enter(socket: Socket): void {
    if (this.#underWay >= MAX_HANDSHAKES) {
      this.#options.metrics.count('handshakesFailed', { reason: 'crowded' });
      socket.destroy();
      return;
    }
    this.#underWay++;
    this.#tls.emit('connection', socket);
  }

  drain(graceMs: number): void {
    this.#closed = true;
    this.#injector.drain(graceMs);
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    this.#underWay--;
    // The library leaves it open when its time is over.
    socket.destroy();
    const reason = error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timeout' : 'other';
    this.#options.metrics.count('handshakesFailed', { reason });
  }

  #secured(socket: TLSSocket): void {
    this.#underWay--;
    socket.on('error', () => undefined);
    if (this.#closed) {
      socket.destroy();
      return;
    }
    const error = socket.authorized ? '' : String(socket.authorizationError);
    const peer = peerOf(shownBy(socket), error, this.#options.trustDomain);
    if (peer.kind === 'unknown') this.#count(peer, socket);
    this.#limit(socket, peer);
    const card = cardOf(peer);
    socket.getPeerCertificate = () => card;
    // Else the library would not show the card, and nobody could be told why they are refused.
    socket.authorized = true;
    this.#injector.injectConnection(socket);
  }

  /** Ends the connection when its time is over. */
  #limit(socket: TLSSocket, peer: Peer): void {
    const { clock, log } = this.#options;
    const known = peer.kind === 'known' ? peer : undefined;
    const lasts = known ? known.notAfterMs - clock.wallTime().getTime() : UNKNOWN_MS;
    const timer = clock.after(lasts, () => {
      if (known)
        log.info('the certificate of a connection ended, and so does it', { who: formatIdentity(known.identity) });
      socket.destroy();
    });
    socket.on('close', () => timer.cancel());
  }

  #count({ reason, problem }: Peer & { readonly kind: 'unknown' }, socket: TLSSocket): void {
    const { clock, log, metrics } = this.#options;
    metrics.count('connectionsUnauthenticated', { reason });
    const logged = this.#logged.get(reason) ?? { nextMs: -Infinity, unsaid: 0 };
    this.#logged.set(reason, logged);
    if (clock.now() < logged.nextMs) {
      logged.unsaid++;
      return;
    }
    const from = socket.remoteAddress ?? '';
    log.warn('a TLS connection of nobody who is known', {
      from,
      problem,
      subject: quote(socket.getPeerX509Certificate()?.subject ?? ''),
      unsaid: logged.unsaid,
    });
    logged.nextMs = clock.now() + LOGGED_EVERY_MS;
    logged.unsaid = 0;
  }
}

/** By the older call: the other copies the whole chain, and ten thousand connections would each take 7 kB more. */
function shownBy(socket: TLSSocket): PeerCertificate | undefined {
  const { subjectaltname, valid_to: validTo } = socket.getPeerCertificate() as Partial<NodeCertificate>;
  return validTo === undefined ? undefined : { subjectAltName: subjectaltname, validTo };
}

function contextOf({ cert, key, ca }: TlsMaterial) {
  return { cert, key, ca, minVersion: TLS_VERSION, secureOptions: constants.SSL_OP_NO_TICKET } as const;
}
