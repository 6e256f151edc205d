// The flags of leasehold-server, and what they may not be together.

import { hostname } from 'node:os';
import { LOG_FORMATS, LOG_LEVELS } from '@leasehold/program/log';
import {
  durationWithin,
  type Endpoint,
  formatEndpoint,
  isLoopback,
  oneOf,
  type Parsed,
  parseListen,
} from '@leasehold/program/option-values';
import type { Resolved } from '@leasehold/program/options';
import { list, type OptionTable, optionalValue, type ProgramSpec, toggle, value } from '@leasehold/program/options';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const EMBEDDED = 'embedded:';

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
  store: value({
    unit: 'store',
    help: 'embedded:PATH keeps everything in that directory, for one server',
    parse: parseStore,
    default: 'embedded:./leasehold-data',
  }),
  authority: optionalValue({
    unit: 'duration',
    help: 'how long an agent may answer without hearing from a server, 1m to 7d; recorded in the store, 24h when it is new',
    parse: durationWithin({ min: MINUTE_MS, max: 7 * DAY_MS }),
  }),
  insecure: toggle({ help: 'take calls without TLS on loopback addresses and unix sockets' }),
  insecureNetwork: toggle({ help: 'take calls without TLS on any address: whoever can reach it can do everything' }),
  logLevel: value({ unit: 'level', help: LOG_LEVELS.join(', '), parse: oneOf(LOG_LEVELS), default: 'info' }),
  logFormat: value({ unit: 'format', help: LOG_FORMATS.join(' or '), parse: oneOf(LOG_FORMATS), default: 'json' }),
} satisfies OptionTable;

/** What leasehold-server was told. */
export type ServerOptions = Resolved<typeof OPTIONS>;

/** leasehold-server as its `--help` shows it. */
export function serverProgram(version: string): ProgramSpec<typeof OPTIONS> {
  return {
    name: 'leasehold-server',
    version,
    summary: 'The Leasehold control plane: addresses for engines, DHCP duties for host agents.',
    options: OPTIONS,
    examples: [
      'leasehold-server --insecure',
      'leasehold-server --insecure --store embedded:/var/lib/leasehold --agent-listen unix:/run/leasehold-agents.sock',
    ],
  };
}

/** Why the options do not go together; undefined when they do. */
export function findConflict({ listen, agentListen, insecure, insecureNetwork }: ServerOptions): string | undefined {
  const all = [...listen, ...agentListen];
  if (!insecure && !insecureNetwork) {
    return 'TLS is not available in this version: pass --insecure to take calls without it on loopback and unix sockets';
  }
  const open = all.find((endpoint) => !isLoopback(endpoint));
  if (open && !insecureNetwork) {
    return `${formatEndpoint(open)} can be reached from the network: without TLS that takes --insecure-network`;
  }
  return undefined;
}

/** The name of this server in GetStatus: host name and first engine endpoint. */
export function serverName(endpoint: Endpoint | undefined): string {
  return endpoint ? `${hostname()}/${formatEndpoint(endpoint)}` : hostname();
}

function parseStore(text: string): Parsed<{ readonly path: string }> {
  const path = text.startsWith(EMBEDDED) ? text.slice(EMBEDDED.length) : '';
  return path === '' ? { ok: false, problem: `expected ${EMBEDDED}PATH` } : { ok: true, value: { path } };
}
