// The options of leasehold-agent.

import { LOG_FORMATS, LOG_LEVELS } from '@leasehold/program/log';
import { oneOf, parseTarget, parseText } from '@leasehold/program/option-values';
import {
  list,
  type OptionTable,
  optionalValue,
  type ProgramSpec,
  type Resolved,
  requiredValue,
  toggle,
  value,
} from '@leasehold/program/options';
import {
  findTlsConflict,
  refuseInsecure,
  TLS_DIAL_OPTIONS,
  TLS_OPTIONS,
  type TlsChoice,
} from '@leasehold/program/tls-options';
import { parseResourceId } from '@leasehold/proto/values';
import { findClash, parseNetwork } from './networks-config.js';

const options = {
  server: list({
    unit: 'host:port',
    help: 'server to follow, tried in turn; also unix:PATH',
    parse: parseTarget,
    required: true,
  }),
  hostId: requiredValue({ unit: 'id', help: 'id of this host, unique in the installation', parse: parseResourceId }),
  network: list({ unit: 'id=iface', help: 'a network and its interface on this host', parse: parseNetwork }),
  networksFile: optionalValue({
    unit: 'file',
    help: 'networks, one ID=IFACE a line, re-read when it changes',
    parse: parseText,
  }),
  backend: value({
    unit: 'builtin|dnsmasq',
    help: 'what answers DHCP: the agent itself, or a dnsmasq process for each network',
    default: 'builtin',
    parse: oneOf(['builtin', 'dnsmasq']),
  }),
  stateDir: value({
    unit: 'dir',
    help: 'where tables and authority survive a restart; one running agent each',
    default: './leasehold-agent-data',
    parse: parseText,
  }),
  failureDomain: optionalValue({
    unit: 'name',
    help: 'where the host is: the servers of a network are spread over these',
    parse: parseResourceId,
  }),
  ...TLS_OPTIONS,
  ...TLS_DIAL_OPTIONS,
  insecure: toggle({
    help: 'no TLS to servers on this machine, loopback and unix sockets, also where there are certificates',
  }),
  insecureNetwork: toggle({ help: 'no TLS to any server: whoever is on the way can hand out addresses' }),
  logLevel: value({
    unit: LOG_LEVELS.join('|'),
    help: 'least important lines',
    default: 'info',
    parse: oneOf(LOG_LEVELS),
  }),
  logFormat: value({ unit: LOG_FORMATS.join('|'), help: 'how lines look', default: 'json', parse: oneOf(LOG_FORMATS) }),
} satisfies OptionTable;

/** What the options resolve to. */
export type AgentOptions = Resolved<typeof options>;

/** leasehold-agent, as its --help shows it. */
export function agentProgram(version: string): ProgramSpec<typeof options> {
  return {
    name: 'leasehold-agent',
    version,
    summary: 'Answers DHCP on this host with what the Leasehold control plane reserved.',
    options,
    examples: [
      'leasehold-agent --server 127.0.0.1:7069 --insecure --host-id h1 --network red=br-red',
      'leasehold-agent --server unix:/run/leasehold/agents.sock --insecure --host-id h1 --networks-file /etc/leasehold/networks',
      'leasehold-agent --server a:7069 --host-id h1 --network red=br-red --tls-cert h1.crt --tls-key h1.key --tls-ca ca.crt',
      'leasehold-agent --server a:7069 --server b:7069 --insecure-network --host-id h1 --network red=br-red --log-format pretty',
    ],
  };
}

/** What is wrong with the options taken together, if anything is. */
export function findConflict(options: AgentOptions): string | undefined {
  const clash = findClash(options.network);
  if (clash !== undefined) return `--network: ${clash}`;
  const insecure = options.server.map((server) => refuseInsecure('--server', server, options));
  return findTlsConflict(options) ?? insecure.find((problem) => problem !== undefined);
}

/** Whether a server that another one names may be dialled, as if it were given as `--server`. */
export function mayDial(server: string, choice: TlsChoice): boolean {
  const parsed = parseTarget(server);
  return parsed.ok && refuseInsecure('--server', parsed.value, choice) === undefined;
}
