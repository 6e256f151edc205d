// The flags of leasehold-server, and what they may not be together.

import { hostname } from 'node:os';
import { LOG_FORMATS, LOG_LEVELS } from '@leasehold/program/log';
import {
  durationWithin,
  type Endpoint,
  formatEndpoint,
  oneOf,
  type Parsed,
  parseListen,
  parseTarget,
} from '@leasehold/program/option-values';
import type { Resolved } from '@leasehold/program/options';
import { list, type OptionTable, optionalValue, type ProgramSpec, toggle, value } from '@leasehold/program/options';
import {
  findTlsConflict,
  refuseInsecure,
  speaksTls,
  TLS_DIAL_OPTIONS,
  TLS_OPTIONS,
} from '@leasehold/program/tls-options';
import { AUDIT_LOGS } from './domain/audit.js';
import { LIMIT_OPTIONS } from './limit-options.js';
import { parseStore, withoutUser } from './store-target.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const STORE = {
  store: value({
    unit: 'store',
    help: 'embedded:PATH keeps everything in that directory, for one server; mongodb://HOST,HOST/DATABASE?replicaSet=NAME in a replica set, for several',
    parse: parseStore,
    shown: withoutUser,
    default: 'embedded:./leasehold-data',
  }),
};

const OPTIONS = {
  listen: list({
    unit: 'endpoint',
    help: 'where engines and operators connect: HOST:PORT or unix:PATH, repeatable',
    parse: parseListen,
    default: ['127.0.0.1:7067'],
  }),
  agentListen: list({
    unit: 'endpoint',
    help: 'where agents connect: HOST:PORT or unix:PATH, repeatable',
    parse: parseListen,
    default: ['127.0.0.1:7069'],
  }),
  ...STORE,
  advertise: optionalValue({
    unit: 'endpoint',
    help: 'where the other servers of the same store reach this one: HOST:PORT or unix:PATH; without it --listen says',
    parse: parseTarget,
  }),
  agentAdvertise: optionalValue({
    unit: 'endpoint',
    help: 'where agents that ask another server are sent to; without it --agent-listen says',
    parse: parseTarget,
  }),
  authority: optionalValue({
    unit: 'duration',
    help: 'how long an agent may answer without hearing from a server, 1m to 7d; recorded in the store, 24h when it is new',
    parse: durationWithin({ min: MINUTE_MS, max: 7 * DAY_MS }),
  }),
  historyRetention: value({
    unit: 'duration',
    help: 'how long it is kept who had an address before, 1d to 3650d',
    parse: durationWithin({ min: DAY_MS, max: 3_650 * DAY_MS }),
    default: '90d',
  }),
  metricsListen: value({
    unit: 'endpoint',
    help: 'where metrics are scraped (/metrics): HOST:PORT, unix:PATH, or off',
    parse: parseMetricsListen,
    default: '127.0.0.1:7068',
  }),
  ...LIMIT_OPTIONS,
  ...TLS_OPTIONS,
  ...TLS_DIAL_OPTIONS,
  insecure: toggle({
    help: 'speak without TLS on loopback addresses and unix sockets, also where there are certificates: whoever reaches them can do everything',
  }),
  insecureNetwork: toggle({ help: 'speak without TLS on any address: whoever can reach it can do everything' }),
  logLevel: value({ unit: 'level', help: LOG_LEVELS.join(', '), parse: oneOf(LOG_LEVELS), default: 'info' }),
  auditLog: value({
    unit: 'changes',
    help: 'of which changes there are log lines: settings, or all, which is a line more for every reserve and release',
    parse: oneOf(AUDIT_LOGS),
    default: 'settings',
  }),
  logFormat: value({ unit: 'format', help: LOG_FORMATS.join(' or '), parse: oneOf(LOG_FORMATS), default: 'json' }),
} satisfies OptionTable;

/** What leasehold-server was told. */
export type ServerOptions = Resolved<typeof OPTIONS>;

/** leasehold-server as its `--help` shows it. */
export function serverProgram(version: string): ProgramSpec<typeof OPTIONS> {
  return {
    name: 'leasehold-server',
    version,
    summary:
      'The Leasehold control plane: addresses for engines, DHCP duties for host agents. Without a command it serves.',
    commands: {
      export: 'write everything in a store to a file, to move to another store',
      import: 'put such a file into an empty store',
      pki: 'make a CA, and certificates for servers, engines, viewers and hosts',
    },
    options: OPTIONS,
    examples: [
      'leasehold-server --insecure',
      'leasehold-server --insecure --store embedded:/var/lib/leasehold --agent-listen unix:/run/leasehold-agents.sock',
      'leasehold-server --listen 10.0.0.1:7067 --agent-listen 10.0.0.1:7069 --tls-cert server.crt --tls-key server.key --tls-ca ca.crt',
      "leasehold-server --insecure-network --listen 10.0.0.1:7067 --agent-listen 10.0.0.1:7069 --store 'mongodb://db1,db2,db3/leasehold?replicaSet=rs0'",
    ],
  };
}

/** Why the options do not go together; undefined when they do. */
export function findConflict(options: ServerOptions): string | undefined {
  const insecure = [
    ...options.listen.map((endpoint) => refuseInsecure('--listen', endpoint, options)),
    ...options.agentListen.map((endpoint) => refuseInsecure('--agent-listen', endpoint, options)),
  ];
  return findTlsConflict(options) ?? insecure.find((problem) => problem !== undefined);
}

/** The endpoints at which whoever reaches them can do everything. */
export function insecureEndpoints(options: ServerOptions): readonly Endpoint[] {
  return [...options.listen, ...options.agentListen].filter((endpoint) => !speaksTls(endpoint, options));
}

/** The name of this server in GetStatus: host name and first engine endpoint. */
export function serverName(endpoint: Endpoint | undefined): string {
  return endpoint ? `${hostname()}/${formatEndpoint(endpoint)}` : hostname();
}

/** Where others reach a listener: as advertised, else its first endpoint, by this host's name where it listens everywhere. */
export function advertised(told: Endpoint | undefined, listens: readonly Endpoint[]): string {
  if (told) return formatEndpoint(told);
  const [first] = listens;
  if (!first) return '';
  const isEverywhere = first.kind === 'tcp' && ['0.0.0.0', '::'].includes(first.host);
  return formatEndpoint(isEverywhere ? { ...first, host: hostname() } : first);
}

function parseMetricsListen(text: string): Parsed<Endpoint | undefined> {
  return text === 'off' ? { ok: true, value: undefined } : parseListen(text);
}
