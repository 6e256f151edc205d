// How a server is dialled by TLS: what is shown to it, and how it is known.
//
//   D1. A server has the name or address that it is dialled by, or the one it shall have instead; its certificate is that of
//       a server, which is checked besides: a CA may vouch for much else that has a name.

import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type SecureContext } from 'node:tls';
import { type Endpoint, parseTarget } from './option-values.js';
import type { TlsFiles } from './tls-files.js';

/** What gRPC needs to know to dial a server. */
export interface TlsDialling {
  readonly context: SecureContext;
  readonly verify: { readonly checkServerIdentity: (name: string, certificate: PeerCertificate) => Error | undefined };
  readonly options: Readonly<Record<'grpc.ssl_target_name_override', string>>;
}

/** What is shown, where, and whom to believe. */
export interface TlsDialOptions {
  readonly files: Pick<TlsFiles, 'current'>;
  readonly isSecure: (endpoint: Endpoint) => boolean;
  /** The name that every server must have; undefined: the one it is dialled by. */
  readonly serverName: string | undefined;
  /** Why one with these subject alternative names is no server; undefined: it is one. */
  readonly whyNoServer: (subjectAltName: string) => string | undefined;
}

// An address cannot be asked for (RFC 6066 §3), and the library insists on a name. Our servers have one certificate for all.
const ANY_NAME = 'leasehold';

/** How a server, as it was given or named, is dialled now; undefined: without TLS. */
export function tlsDialling(server: string, options: TlsDialOptions): TlsDialling | undefined {
  const { files, isSecure, serverName, whyNoServer } = options;
  const parsed = parseTarget(server);
  if (parsed.ok && !isSecure(parsed.value)) return undefined;
  // A socket is of this machine.
  const name = serverName ?? (parsed.ok && parsed.value.kind === 'tcp' ? parsed.value.host : 'localhost');
  const check = (certificate: PeerCertificate) => {
    const other = checkServerIdentity(name, certificate);
    const why = other ? undefined : whyNoServer(certificate.subjectaltname ?? '');
    return why === undefined ? other : new Error(`This is no server: ${why}`);
  };
  return {
    context: files.current.context,
    verify: { checkServerIdentity: (_, certificate) => check(certificate) },
    options: { 'grpc.ssl_target_name_override': isIP(name) === 0 ? name : ANY_NAME },
  };
}
