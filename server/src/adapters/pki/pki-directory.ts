// The directory of a small CA: `ca.crt`, `ca.key`, and for everybody `ROLE-NAME.crt` and `ROLE-NAME.key`.
//
//   F1. Nothing is ever written over. Keys are readable by their owner alone, from the moment they are there.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '@leasehold/program/make-directory';
import type { Credentials } from './certificates.js';

/** Where a certificate and its key are. */
export interface CredentialFiles {
  readonly certificate: string;
  readonly key: string;
}

/** The files of `ca`, or of somebody. */
export function filesOf(directory: string, name: string): CredentialFiles {
  return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
}

/** Reads both; throws when one cannot be read. */
export function readCredentials({ certificate, key }: CredentialFiles): Credentials {
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** The first of the files that is there; undefined: none is. */
export function existing({ certificate, key }: CredentialFiles): string | undefined {
  return [certificate, key].find((path) => existsSync(path));
}

/** Writes both, in a directory that is made for them if there is none; throws when one is there. */
export function writeCredentials(directory: string, files: CredentialFiles, { certificate, key }: Credentials): void {
  makeDirectory(directory, 0o700);
  writeFileSync(files.key, key, { flag: 'wx', mode: 0o600 });
  writeFileSync(files.certificate, certificate, { flag: 'wx', mode: 0o644 });
}
