// Certificates for tests: a CA of the product's own, good certificates as `leasehold-server pki` issues them, and such as
// nobody should have. They hold from 2000 to 2100, unless a test says otherwise.

import { rmSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Identity, parseIdentity, spiffeOf } from '@leasehold/proto/identity';
import { Authority, type CertificateContent, type Credentials } from '../adapters/pki/certificates.js';
import { type CredentialFiles, filesOf, writeCredentials } from '../adapters/pki/pki-directory.js';
import { systemCrypto } from '../adapters/system/web-crypto.js';

const ALWAYS = { notBefore: new Date('2000-01-01T00:00:00Z'), notAfter: new Date('2100-01-01T00:00:00Z') };

/** What else a good certificate says. */
export interface Good {
  readonly notAfter?: Date;
  readonly ips?: readonly string[];
}

/** A CA. */
export class TestAuthority {
  readonly #authority: Authority;
  /** What it is made of, for `read` in another process. */
  readonly made: Credentials;

  private constructor(authority: Authority, made: Credentials) {
    this.#authority = authority;
    this.made = made;
  }

  /** Makes one. */
  static async make(trustDomain = 'leasehold'): Promise<TestAuthority> {
    return TestAuthority.read(await Authority.make(trustDomain, ALWAYS, systemCrypto));
  }

  /** One that was made. */
  static async read(made: Credentials): Promise<TestAuthority> {
    return new TestAuthority(await Authority.read(made, systemCrypto), made);
  }

  /** Its certificate, as PEM. */
  get pem(): string {
    return this.made.certificate;
  }

  /** A good certificate: `engine/ovirt`. */
  issue(who: string, { notAfter = ALWAYS.notAfter, ips = [] }: Good = {}): Promise<Credentials> {
    const identity = identityIn(who);
    const [dns, addresses] = identity.role === 'server' ? [['localhost'], ['127.0.0.1', '::1', ...ips]] : [[], []];
    return this.#authority.issue({ ...ALWAYS, identity, dns, ips: addresses, notAfter });
  }

  /** A certificate that says what is told, and else what a good one of `engine/ovirt` does. */
  odd(content: Partial<CertificateContent>): Promise<Credentials> {
    const names = [{ type: 'url', value: spiffeOf(this.#authority.trustDomain, identityIn('engine/ovirt')) }] as const;
    return this.#authority.sign({ ...ALWAYS, commonName: 'odd', names, usages: ['clientAuth'], ...content });
  }

  /** The flags of a program that shows this, whose files go into a directory. */
  flags(directory: string, name: string, shows: Credentials): readonly string[] {
    const { certificate, key } = writeOver(directory, name, shows);
    const ca = writeOver(directory, 'ca', this.made).certificate;
    return ['--tls-cert', certificate, '--tls-key', key, '--tls-ca', ca];
  }

  /** What a client dials with that shows this; undefined: no certificate. */
  dialling(shows: Credentials | undefined): ChannelCredentials {
    const ca = Buffer.from(this.pem);
    if (!shows) return credentials.createSsl(ca);
    return credentials.createSsl(ca, Buffer.from(shows.key), Buffer.from(shows.certificate));
  }
}

/** Writes both files, over those that are there. */
export function writeOver(directory: string, name: string, shows: Credentials): CredentialFiles {
  const files = filesOf(directory, name);
  rmSync(files.key, { force: true });
  rmSync(files.certificate, { force: true });
  writeCredentials(directory, files, shows);
  return files;
}

function identityIn(text: string): Identity {
  const identity = parseIdentity(text);
  if (!identity.ok) throw new Error(identity.problem);
  return identity.value;
}
