// Certificates for tests: a CA of the product's own, good certificates as `leasehold-server pki` issues them, and such as
// nobody should have.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Identity, parseIdentity, spiffeOf } from '@leasehold/proto/identity';
import { Authority, type CertificateContent, type Credentials } from '@leasehold/server/adapters/pki/certificates';
import { filesOf, writeCredentials } from '@leasehold/server/adapters/pki/pki-directory';
import { systemCrypto } from '@leasehold/server/adapters/system/web-crypto';

const DAY_MS = 86_400_000;

/** A CA with its directory. */
export class TestAuthority {
  readonly #directory: string;
  readonly #authority: Authority;
  readonly #certificate: string;

  private constructor(directory: string, authority: Authority, certificate: string) {
    this.#directory = directory;
    this.#authority = authority;
    this.#certificate = certificate;
  }

  /** Makes one, in a directory of its own. */
  static async make(directory: string, trustDomain = 'leasehold'): Promise<TestAuthority> {
    const made = await Authority.make(trustDomain, lasting({}), systemCrypto);
    writeCredentials(directory, filesOf(directory, 'ca'), made);
    return new TestAuthority(directory, await Authority.read(made, systemCrypto), made.certificate);
  }

  /** Its certificate. */
  get caFile(): string {
    return filesOf(this.#directory, 'ca').certificate;
  }

  /** What it is, as PEM. */
  get pem(): string {
    return this.#certificate;
  }

  /** A good certificate: `engine/ovirt`. `lasts`: how long from now. */
  issue(who: string, { lastsMs, ips = [] }: { lastsMs?: number; ips?: readonly string[] } = {}): Promise<Credentials> {
    const identity = identityIn(who);
    const [dns, addresses] = identity.role === 'server' ? [['localhost'], ['127.0.0.1', '::1', ...ips]] : [[], []];
    return this.#authority.issue({
      identity,
      dns,
      ips: addresses,
      ...lasting(lastsMs === undefined ? {} : { lastsMs }),
    });
  }

  /** A certificate that says what is told, and else what a good one of `engine/ovirt` does. */
  odd(content: Partial<CertificateContent>): Promise<Credentials> {
    const names = [{ type: 'url', value: spiffeOf(this.#authority.trustDomain, identityIn('engine/ovirt')) }] as const;
    return this.#authority.sign({ commonName: 'odd', names, usages: ['clientAuth'], ...lasting({}), ...content });
  }

  /** The flags of a program that is this one: its files, which are written over. */
  flags(who: string, made: Credentials): readonly string[] {
    const { certificate, key } = this.write(who, made);
    return ['--tls-cert', certificate, '--tls-key', key, '--tls-ca', this.caFile];
  }

  /** Writes the files of somebody, over those that are there. */
  write(who: string, made: Credentials): { readonly certificate: string; readonly key: string } {
    const files = filesOf(this.#directory, who.replace('/', '-'));
    rmSync(files.key, { force: true });
    rmSync(files.certificate, { force: true });
    writeCredentials(this.#directory, files, made);
    return files;
  }

  /** What a client dials with that shows this; undefined: no certificate. */
  dialling(shows: Credentials | undefined): ChannelCredentials {
    const ca = Buffer.from(this.#certificate);
    if (!shows) return credentials.createSsl(ca);
    return credentials.createSsl(ca, Buffer.from(shows.key), Buffer.from(shows.certificate));
  }
}

/** A directory of a CA below that of a test. */
export function pkiIn(directory: string, name = 'pki'): string {
  return join(directory, name);
}

/** From before now until after it; a negative span ended before. */
export function lasting({ lastsMs = DAY_MS }: { lastsMs?: number }): {
  readonly notBefore: Date;
  readonly notAfter: Date;
} {
  const now = Date.now();
  return { notBefore: new Date(now - DAY_MS), notAfter: new Date(now + lastsMs) };
}

function identityIn(text: string): Identity {
  const identity = parseIdentity(text);
  if (!identity.ok) throw new Error(identity.problem);
  return identity.value;
}
