// `leasehold-server pki`: a CA in a directory, and certificates from it.

import { isIP } from 'node:net';
import { durationWithin, nearest, oneOf, type Parsed, parseText } from '@leasehold/program/option-values';
import {
  list,
  type OptionTable,
  operand,
  type ProgramSpec,
  type Resolved,
  requiredValue,
  value,
} from '@leasehold/program/options';
import { fail, optionsOrExit } from '@leasehold/program/shutdown';
import { systemClock } from '@leasehold/program/system-clock';
import { parseTrustDomain } from '@leasehold/program/tls-options';
import { type Identity, ROLES } from '@leasehold/proto/identity';
import { parseDomain, parseResourceId } from '@leasehold/proto/values';
import { Authority } from '../adapters/pki/certificates.js';
import {
  type CredentialFiles,
  existing,
  filesOf,
  readCredentials,
  writeCredentials,
} from '../adapters/pki/pki-directory.js';
import { systemCrypto } from '../adapters/system/web-crypto.js';
import { type CommandContext, messageOf } from './command.js';

const NAME = 'leasehold-server pki';
const DAY_MS = 86_400_000;
const CA_VALID_MS = 3_650 * DAY_MS;
// Clocks of other machines may be a little behind.
const BACKDATED_MS = 300_000;

const DIR = requiredValue({
  unit: 'dir',
  help: 'the directory of the CA: whoever can read its ca.key is everybody',
  parse: parseText,
});

const INIT_OPTIONS = {
  dir: DIR,
  trustDomain: value({
    unit: 'name',
    help: 'of whom the CA vouches for: spiffe://NAME/ROLE/…; servers and agents are told it as --tls-trust-domain',
    parse: parseTrustDomain,
    default: 'leasehold',
  }),
} satisfies OptionTable;

const ISSUE_OPTIONS = {
  role: operand({ unit: 'role', help: `what it is for: ${ROLES.join(', ')}`, parse: oneOf(ROLES) }),
  name: operand({ unit: 'name', help: 'who it is; of a host its --host-id', parse: parseResourceId }),
  dir: DIR,
  dns: list({
    unit: 'name',
    help: 'of a server: a host name it is dialled by; its own name and localhost always are',
    parse: parseDomain,
  }),
  ip: list({
    unit: 'address',
    help: 'of a server: an address it is dialled by; those of loopback always are',
    parse: parseAddress,
  }),
  valid: value({
    unit: 'duration',
    help: 'how long, 1h to 3650d; not beyond the CA',
    parse: durationWithin({ min: 3_600_000, max: CA_VALID_MS }),
    default: '90d',
  }),
} satisfies OptionTable;

function initProgram(version: string): ProgramSpec<typeof INIT_OPTIONS> {
  return {
    name: `${NAME} init`,
    version,
    summary: 'Makes a CA: ca.crt, which everybody is given, and ca.key, which nobody is.',
    options: INIT_OPTIONS,
    examples: [
      'leasehold-server pki init --dir /etc/leasehold/pki',
      'leasehold-server pki init --dir pki --trust-domain prod',
    ],
  };
}

function issueProgram(version: string): ProgramSpec<typeof ISSUE_OPTIONS> {
  return {
    name: `${NAME} issue`,
    version,
    summary: 'Makes a certificate and its key, ROLE-NAME.crt and ROLE-NAME.key. Nothing is written over.',
    options: ISSUE_OPTIONS,
    examples: [
      'leasehold-server pki issue --dir pki server s1 --dns s1.example.org --ip 10.0.0.1',
      'leasehold-server pki issue --dir pki engine ovirt',
      'leasehold-server pki issue --dir pki host h1',
      'leasehold-server pki issue --dir pki viewer grafana --valid 30d',
    ],
  };
}

/** Runs the command. */
export async function runPki({ args: [name = '', ...args], ...context }: CommandContext): Promise<void> {
  const commands = { init, issue };
  if (name === 'init' || name === 'issue') return commands[name]({ ...context, args });
  const { stdout, version } = context;
  if (name !== '--help' && name !== '-h') {
    const known = nearest(name, Object.keys(commands));
    fail(
      NAME,
      `${name === '' ? 'init or issue is missing' : `unknown command ${name}, the nearest is ${known}`} (see --help)`,
      2,
    );
  }
  const summaries = [initProgram(version), issueProgram(version)].map(
    (each) => `  ${each.name} --help  ${each.summary}\n`,
  );
  stdout.write(`Certificates for an installation of its own.\n\n${summaries.join('')}`);
}

async function init({ version, stdout, ...sources }: CommandContext): Promise<void> {
  const { dir, trustDomain } = optionsOrExit(initProgram(version), sources);
  const files = filesOf(dir, 'ca');
  refuseExisting(files, 'a CA is made once; for another one choose another directory');
  try {
    writeCredentials(dir, files, await Authority.make(trustDomain, validFor(CA_VALID_MS), systemCrypto));
  } catch (error) {
    fail(`${NAME} init`, `--dir ${dir} cannot be written: ${messageOf(error)}`);
  }
  stdout.write(
    `Wrote ${files.certificate} and ${files.key}, the CA of trust domain ${trustDomain}.\n` +
      `Next: leasehold-server pki issue --dir ${dir} server NAME --dns HOST --ip ADDRESS\n` +
      `Keep ${files.key} away from servers and hosts: whoever has it can be everybody.\n`,
  );
}

async function issue({ version, stdout, ...sources }: CommandContext): Promise<void> {
  const options = optionsOrExit(issueProgram(version), sources);
  const { dir, role, name, valid } = options;
  const { dns, ips } = namesOf(options);
  const files = filesOf(dir, `${role}-${name}`);
  refuseExisting(files, 'move it away first to make another');
  const authority = await authorityIn(dir);
  const validity = validFor(valid);
  if (validity.notAfter > authority.notAfter) {
    fail(`${NAME} issue`, `--valid is beyond the CA, which ends ${authority.notAfter.toISOString()}`, 2);
  }
  try {
    writeCredentials(dir, files, await authority.issue({ identity: { role, name }, dns, ips, ...validity }));
  } catch (error) {
    fail(`${NAME} issue`, `--dir ${dir} cannot be written: ${messageOf(error)}`);
  }
  stdout.write(
    `Wrote ${files.certificate} and ${files.key}: ${role}/${name} of ${authority.trustDomain}, until ${validity.notAfter.toISOString()}.\n` +
      nextStep({ role, name }, files, filesOf(dir, 'ca').certificate, authority.trustDomain),
  );
}

/** By what a server is dialled; nobody else is. */
function namesOf({ role, name, dns, ip }: Resolved<typeof ISSUE_OPTIONS>): {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
} {
  if (role === 'server') {
    const own = parseDomain(name).ok ? [name] : [];
    return { dns: [...new Set([...own, 'localhost', ...dns])], ips: [...new Set(['127.0.0.1', '::1', ...ip])] };
  }
  if (dns.length + ip.length > 0) fail(`${NAME} issue`, `--dns and --ip are for servers, nobody dials a ${role}`, 2);
  return { dns: [], ips: [] };
}

async function authorityIn(dir: string): Promise<Authority> {
  try {
    return await Authority.read(readCredentials(filesOf(dir, 'ca')), systemCrypto);
  } catch (error) {
    const why = messageOf(error);
    return fail(`${NAME} issue`, `there is no CA in --dir ${dir}: ${why}; make one with leasehold-server pki init`);
  }
}

function nextStep({ role, name }: Identity, files: CredentialFiles, ca: string, trustDomain: string): string {
  const domain = trustDomain === 'leasehold' ? '' : ` --tls-trust-domain ${trustDomain}`;
  const flags = `--tls-cert ${files.certificate} --tls-key ${files.key} --tls-ca ${ca}`;
  if (role === 'server') return `Next, on that server: leasehold-server ${flags}${domain}\n`;
  if (role === 'host') return `Next, on that host: leasehold-agent --host-id ${name} ${flags}${domain}\n`;
  return `Next: leasehold status ${flags}\n`;
}

function refuseExisting(files: CredentialFiles, instead: string): void {
  const there = existing(files);
  if (there !== undefined) fail(NAME, `${there} is there already and is not written over: ${instead}`);
}

function validFor(ms: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = systemClock().wallTime().getTime();
  return { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + ms) };
}

function parseAddress(text: string): Parsed<string> {
  return isIP(text) === 0 ? { ok: false, problem: 'expected an IP address' } : { ok: true, value: text };
}
