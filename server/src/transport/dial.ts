// How this server dials others of its store.

import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { type TlsDialOptions, tlsDialling } from '@leasehold/program/tls-dial';

/** What to dial with. */
export interface Dialling {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** See the top of the file. */
export interface Dial {
  to(target: string): Dialling;
  /** What this server shows now: another value when a connection must be made anew. */
  shows(): unknown;
}

/** Without TLS. */
export const PLAIN_DIAL: Dial = {
  to: () => ({ credentials: credentials.createInsecure(), options: {} }),
  shows: () => undefined,
};

/** With this server's own certificate, where TLS is spoken. */
export function tlsDial(options: TlsDialOptions): Dial {
  return {
    to(target) {
      const tls = tlsDialling(target, options);
      if (!tls) return PLAIN_DIAL.to(target);
      return { credentials: credentials.createFromSecureContext(tls.context, tls.verify), options: tls.options };
    },
    shows: () => options.files.current,
  };
}
