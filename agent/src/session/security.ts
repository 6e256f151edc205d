// With what servers are dialled: nothing, or this host's certificate.

import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { type TlsDialOptions, tlsDialling } from '@leasehold/program/tls-dial';

/** With what a server is dialled. */
export interface Security {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** Without TLS. */
export const PLAIN: Security = { credentials: credentials.createInsecure(), options: {} };

/** With what the files hold at the time, where TLS is spoken. */
export function tlsSecurity(options: TlsDialOptions): (server: string) => Security {
  return (server) => {
    const tls = tlsDialling(server, options);
    if (!tls) return PLAIN;
    return { credentials: credentials.createFromSecureContext(tls.context, tls.verify), options: tls.options };
  };
}
