// Who is at the other end of a TLS connection, of what its handshake came to.

import { type Identity, identityOf } from '@leasehold/proto/identity';

/** The part of a certificate that says so. */
export interface PeerCertificate {
  readonly subjectAltName?: string | undefined;
  readonly validTo: string;
}

/** Somebody, until its certificate ends; or nobody, and why: a word for counting, and a clause for people. */
export type Peer =
  | { readonly kind: 'known'; readonly identity: Identity; readonly notAfterMs: number }
  | { readonly kind: 'unknown'; readonly reason: UnknownReason; readonly problem: string };

/** Why it is not known who it is. */
export type UnknownReason = 'none' | 'ended' | 'not-yet' | 'other-ca' | 'purpose' | 'identity';

/** What OpenSSL says of certificates (`authorizationError`), as far as it has a word of its own here. */
const PROBLEMS: ReadonlyMap<string, readonly [UnknownReason, string]> = new Map([
  ['CERT_HAS_EXPIRED', ['ended', 'its certificate has ended']],
  ['CERT_NOT_YET_VALID', ['not-yet', 'its certificate is not valid yet']],
  ['INVALID_PURPOSE', ['purpose', 'its certificate is not one for clients (extended key usage clientAuth)']],
]);

/**
 * Who it is. `certificate`: undefined when it showed none, whatever the handshake says of it: one that was resumed without a
 * certificate looks as good as any.
 */
export function peerOf(certificate: PeerCertificate | undefined, error: string, trustDomain: string): Peer {
  if (!certificate) return { kind: 'unknown', reason: 'none', problem: 'it showed no certificate' };
  if (error !== '') {
    const other = ['other-ca', `no CA that this server believes vouches for its certificate (${error})`] as const;
    const [reason, problem] = PROBLEMS.get(error) ?? other;
    return { kind: 'unknown', reason, problem };
  }
  const identity = identityOf(certificate.subjectAltName, trustDomain);
  if (!identity.ok) return { kind: 'unknown', reason: 'identity', problem: identity.problem };
  return { kind: 'known', identity: identity.value, notAfterMs: Date.parse(certificate.validTo) };
}
